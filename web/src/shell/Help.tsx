import { Kbd, Modal, Table } from "@mantine/core";
import { PAGES } from "../pages";
import { useSession } from "../signin/session";

const KEYS: readonly [string, string][] = [
  ["/", "Search on this page"],
  ["j  k", "Next and previous row"],
  ["Enter", "Open the row"],
  ["Ctrl K", "Command palette"],
  ["?", "This help"],
];

export function Help({ opened, close }: { opened: boolean; close: () => void }) {
  const { may } = useSession();
  const pages = PAGES.filter((page) => may(page.scope)).map((page): [string, string] => [`g ${page.key}`, page.title]);
  return (
    <Modal opened={opened} onClose={close} title="Keyboard" closeButtonProps={{ "aria-label": "Close" }}>
      <Table>
        <Table.Tbody>
          {[...KEYS, ...pages].map(([key, what]) => (
            <Table.Tr key={key}>
              <Table.Td w={110}>{key.split(/\s+/).map((part) => <Kbd key={part} mr={4} size="xs">{part}</Kbd>)}</Table.Td>
              <Table.Td>{what}</Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Modal>
  );
}
