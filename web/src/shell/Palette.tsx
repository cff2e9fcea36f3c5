/** The command palette: pages and trace ids. */

import { Modal, NavLink, Text, TextInput } from "@mantine/core";
import { type KeyboardEvent, useMemo, useState } from "react";
import { useNavigate, useSearchParams } from "react-router";
import { rangeParams, tracesLink } from "../lib/traceFilter";
import { PAGES, placeOf } from "../pages";
import { useSession } from "../signin/session";

interface Command {
  label: string;
  hint: string;
  run: () => void;
}

export function Palette({ opened, close }: { opened: boolean; close: () => void }) {
  return (
    <Modal opened={opened} onClose={close} title="Command palette" closeButtonProps={{ "aria-label": "Close" }} padding="xs" yOffset="12vh">
      {opened && <Commands close={close} />}
    </Modal>
  );
}

function Commands({ close }: { close: () => void }) {
  const navigate = useNavigate();
  const { may, signOut } = useSession();
  const [params] = useSearchParams();
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const commands = useMemo(() => {
    const pages = PAGES.filter((page) => may(page.scope)).map((page): Command => ({ label: page.title, hint: `g ${page.key}`, run: () => navigate(placeOf(page, params)) }));
    return [...pages, { label: "Sign out", hint: "", run: () => void signOut() }];
  }, [may, navigate, params, signOut]);
  const wanted = text.trim();
  const found = commands.filter((command) => command.label.toLowerCase().includes(wanted.toLowerCase()));
  const reads = may("read");
  if (reads && /^[0-9a-f]{32}$/i.test(wanted)) found.unshift({ label: `Trace ${wanted}`, hint: "", run: () => navigate(`/traces/${wanted.toLowerCase()}`) });
  else if (reads && wanted !== "") found.push({ label: `Find traces with “${wanted}”`, hint: "", run: () => navigate(tracesLink(rangeParams(params), { text: wanted })) });
  const at = Math.min(chosen, found.length - 1);

  function press(event: KeyboardEvent) {
    if (event.key === "ArrowDown") setChosen(Math.min(at + 1, found.length - 1));
    else if (event.key === "ArrowUp") setChosen(Math.max(at - 1, 0));
    else if (event.key === "Enter") run(found[at]);
    else return;
    event.preventDefault();
  }

  function run(command: Command | undefined) {
    close();
    command?.run();
  }

  return (
    <>
      <TextInput
        placeholder="A page, a trace id, or a text to find" aria-label="Command" value={text} data-autofocus onKeyDown={press}
        onChange={(event) => { setText(event.currentTarget.value); setChosen(0); }}
      />
      {found.map((command, index) => (
        <NavLink key={command.label} component="button" label={command.label} active={index === at} onClick={() => run(command)} rightSection={<Text size="xs" c="dimmed">{command.hint}</Text>} py={5} />
      ))}
    </>
  );
}
