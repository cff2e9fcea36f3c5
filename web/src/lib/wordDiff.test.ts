import { expect, test } from "vitest";
import { cut, isWorthMarking, nearestReference, wordDiff } from "./wordDiff";

/** `[missing]`, `{more}`, and what is the same as it is. */
function shown(reference: string, answer: string): string {
  const marks = { same: ["", ""], missing: ["[", "]"], more: ["{", "}"] } as const;
  return wordDiff(reference, answer).map(({ kind, text }) => marks[kind][0] + text + marks[kind][1]).join("");
}

test("words that are wanted, missing and said beyond", () => {
  expect(shown("the harbour is near", "the harbour is far")).toBe("the harbour is [near]{far}");
  expect(shown("42", "It is 42.")).toBe("{It is }42{.}");
  expect(shown("a b c", "a c")).toBe("a [b ]c");
  expect(shown("yes", "yes")).toBe("yes");
  expect(shown("Yes", "yes")).toBe("[Yes]{yes}");
  expect(shown("", "more")).toBe("{more}");
  expect(shown("wanted", "")).toBe("[wanted]");
});

test("white space is no difference, and letters of any script make words", () => {
  expect(shown("two  words", "two\nwords")).toBe("two\nwords");
  expect(shown("Größe 10 µm", "Größe 12 µm")).toBe("Größe [10 ]{12 }µm");
});

test("the answer stands in what is the same and more", () => {
  const [reference, answer] = ["x y z y x", "y x y w x"];
  const said = wordDiff(reference, answer).filter((part) => part.kind !== "missing").map((part) => part.text).join("");
  expect(said).toBe(answer);
});

test("of several references the nearest is taken", () => {
  expect(nearestReference(["Paris", "the city of light"], "It is the city of lights")).toBe("the city of light");
  expect(nearestReference(["a", "b"], "c")).toBe("a");
  expect(nearestReference([], "c")).toBeNull();
});

test("marks are made where they help", () => {
  const long = (word: string) => `${word} `.repeat(40);
  expect(isWorthMarking(wordDiff("yes", "no"))).toBe(true);
  expect(isWorthMarking(wordDiff("42", `${long("thus")}42`))).toBe(true);
  expect(isWorthMarking(wordDiff(long("one"), long("two")))).toBe(false);
  expect(isWorthMarking(wordDiff(long("one") + long("three"), long("one")))).toBe(true);
});

test("a long difference is cut within a part", () => {
  expect(cut([{ kind: "same", text: "abc" }, { kind: "more", text: "def" }, { kind: "missing", text: "g" }], 5)).toEqual([{ kind: "same", text: "abc" }, { kind: "more", text: "de" }]);
});
