"""The texts that metrics are compared on: python metrics_pairs.py DATA_FOLDER > metrics_pairs.json

DATA_FOLDER has pandalm/testset-v1.json (Apache-2.0, WeOpenML/PandaLM), halueval/general_data.json (MIT, RUCAIBox/HaluEval)
and gsm8k/test.jsonl (MIT, openai/grade-school-math). The output is committed; metrics.py reads it and nothing else of this.
A pair is an answer with one reference or two. `joined` are ranges of pairs whose texts are joined by line ends to long ones.
"""

import json
import pathlib
import sys

# What real data has too little of: nothing, one token, marks, entities, line ends, other scripts, quirks of tokenisers.
BY_HAND = [
    ["", ""], ["", "a"], ["a", ""], ["   ", "\n"], ["a", "a"], ["a", "b"], ["A", "a"], [".", "."], ["!", "?"], ["word", "Word."],
    ["the cat", "the cat sat"], ["the the the the", "the cat the"], ["Hello, world!", "Hello world"], ["x", "x y z w v u"],
    ["1,234.56", "1234.56"], ["It costs $5.00 - 10%", "It costs $5 to 10 %"], ["U.S.A. and e.g. that", "USA and eg. that"],
    ["a...b", "a..b"], ["3.5-4.5 is 1-2", "3.5 - 4.5 is 1 - 2"], ["the dog's bone's", "the dogs bones"], ["(hi) [there] {you}", "hi there you"],
    ["&quot;x&quot; &amp; &lt;y&gt;", "\"x\" & <y>"], ["&amp;lt; &amp;amp;", "< &"], ["<skipped>word", "word"], ["well-\nknown", "wellknown"], ["well\n-known", "wellknown"],
    ["one\ntwo\n\nthree", "one\n\ntwo three"], ["tab\tand\x0bvertical\x1cseparator\u00a0space", "tab and vertical separator space"], ["trailing space ", " leading space"],
    ["don't can't won't", "do not can not will not"], ["running runs ran easily", "run runner easy"], ["happily happiness happier", "happy happiness"],
    ["The relational conditional operators", "relate condition operate"], ["She skies dying lying news", "sky die lie new"], ["flies tries cried tied", "fly try cry tie"],
    ["Die Größe der Straße", "Die Grösse der Strasse"], ["STRASSE ÄÖÜ", "straße äöü"], ["İstanbul'da", "istanbul'da"], ["ΟΔΟΣ ΟΔΥΣΣΕΑΣ", "οδος οδυσσεας"],
    ["naïve café", "naive cafe"], ["cafe\u0301 noir", "café noir"], ["½ of Ⅷ is 4", "1/2 of 8 is 4"], ["“Quoted” – ‘text’…", "\"Quoted\" - 'text'..."],
    ["Привет, мир! Как дела?", "Привет мир, как твои дела?"], ["Кошка сидит на коврике.", "На коврике сидит кошка."], ["Η γάτα κάθεται στο χαλί.", "Στο χαλί κάθεται η γάτα."],
    ["我爱北京天安门。", "我爱天安门广场。"], ["机器学习是人工智能的一个分支", "机器学习,是人工智能(AI)的分支。"], ["今天天气很好，我们去公园吧！", "今天的天气不错，咱们去公园。"],
    ["日本語のテキストです。", "これは日本語の文章です。"], ["カタカナ・ひらがな", "ひらがな・カタカナ"], ["한국어 문장입니다.", "이것은 한국어 문장이다."], ["ภาษาไทยไม่มีช่องว่าง", "ภาษาไทยมีช่องว่าง"],
    ["यह एक हिन्दी वाक्य है।", "यह हिन्दी का वाक्य है।"], ["هذه جملة عربية قصيرة.", "هذه جملة قصيرة بالعربية،"], ["זה משפט בעברית.", "משפט קצר בעברית"], ["😀 smile 👍🏽", "😀 smiles 👍"],
    ["𝒳 math 𝔸 bold", "X math A bold"], ["全角！？（テスト）．", "全角!?(テスト)."], ["ｆｕｌｌ ｗｉｄｔｈ", "full width"], ["mixed 中文 and English 文本", "English 文本 mixed and 中文"],
    ["zero\u200bwidth\u200djoin", "zero width join"], ["5€ + 3£ = ?", "5 € + 3 £ = 8"], ["C++ vs. C#", "C vs C"], ["a_b __init__ x=y;", "a b init x y"], ["http://www.example.com/a?b=c", "example.com"],
    ["a b c d e f g h i j", "f g h i j a b c d e"], ["b a d c f e h g", "a b c d e f g h"], ["c a b c a b c a b", "a b c a b c a b c"], ["to be or not to be that is the question", "the question is that to be or not to be"],
    ["one two three four five six", "six five four three two one"], ["a " * 60, "a " * 50], ["x y " * 30, "y x " * 30], ["word " * 3, "other " * 90],
    ["The quick brown fox jumps over the lazy dog.", "A quick brown fox jumped over lazy dogs.", "The fast brown fox leaps over the lazy dog."],
    ["It is a guide to action which ensures that the military always obeys the commands of the party", "It is a guide to action that ensures that the military will forever heed Party commands", "It is the guiding principle which guarantees the military forces always being under the command of the Party"],
    ["", "a", ""], ["a", "", "a b"], ["same", "same", "same"], ["近い", "近い", "遠い"],
    ["The automobile was purchased by a physician", "The doctor bought the car", "A medic acquired an auto"], ["kids love big dogs", "children adore large hounds"],
]


def short(*texts):
    return all(isinstance(text, str) and 0 < len(text) <= 420 for text in texts)


def pandalm(folder):
    for row in json.loads((folder / "pandalm/testset-v1.json").read_text()):
        texts = [row["response1"], row["response2"], row["instruction"]]
        if short(*texts) and row["response1"] != row["response2"]:
            yield texts


def halueval(folder):
    for line in (folder / "halueval/general_data.json").read_text().splitlines():
        row = json.loads(line)
        if short(row["chatgpt_response"], row["user_query"]):
            yield [row["chatgpt_response"], row["user_query"]]


def gsm8k(folder):
    for line in (folder / "gsm8k/test.jsonl").read_text().splitlines():
        row = json.loads(line)
        if short(row["answer"], row["question"]):
            yield [row["answer"], row["question"]]


def main():
    folder = pathlib.Path(sys.argv[1])
    # Each third row, so that no single task fills them; every second pair of PandaLM keeps a second reference.
    first = [pair if place % 2 else pair[:2] for place, pair in enumerate(list(pandalm(folder))[::3][:200])]
    second, third = list(halueval(folder))[::3][:150], list(gsm8k(folder))[::3][:150]
    pairs = first + second + third + BY_HAND
    json.dump({"pairs": pairs, "joined": [[0, 40], [350, 380]]}, sys.stdout, ensure_ascii=False, indent=0)


main()
