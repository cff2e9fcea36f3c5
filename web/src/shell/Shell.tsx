/** What stands around every page: navigation, time range, who is signed in, keyboard. */

import { ActionIcon, AppShell, Burger, Button, Group, Menu, NavLink, ScrollArea, Text, Tooltip, UnstyledButton, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import { useDisclosure } from "@mantine/hooks";
import { Suspense, use, useEffect } from "react";
import { Link, Route, Routes, useLocation, useSearchParams } from "react-router";
import { type Page, pageAt, PAGES, placeOf } from "../pages";
import { Empty, Waiting } from "../parts/states";
import { useSession } from "../signin/session";
import { Bell } from "./Bell";
import { Boundary } from "./Boundary";
import { Help } from "./Help";
import { useNavigationKeys } from "./keys";
import { Palette } from "./Palette";
import { TimeRangePicker } from "./TimeRangePicker";

const GROUPS = ["Observe", "Try", "Operate"] as const;

export function Shell() {
  const [opened, { toggle, close }] = useDisclosure(false);
  const [palette, { open: openPalette, close: closePalette }] = useDisclosure(false);
  const [help, { open: openHelp, close: closeHelp }] = useDisclosure(false);
  const { pathname } = useLocation();
  const page = pageAt(pathname);
  useNavigationKeys({ openHelp, openPalette });
  useEffect(() => {
    document.title = page ? `${page.title} · Quarterdeck` : "Quarterdeck";
    close();
  }, [page, close]);
  return (
    <AppShell header={{ height: 44 }} navbar={{ width: 176, breakpoint: "sm", collapsed: { mobile: !opened } }} padding="md">
      <AppShell.Header px="sm">
        <Group h="100%" justify="space-between" wrap="nowrap">
          <Group gap="xs" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Navigation" />
            <Text fw={650} visibleFrom="sm">Quarterdeck</Text>
            <UnstyledButton onClick={openPalette} className="palette-button" visibleFrom="sm">
              <Text size="xs" c="dimmed">Go to… <kbd>Ctrl K</kbd></Text>
            </UnstyledButton>
          </Group>
          <Group gap="xs" wrap="nowrap">
            {/* A trace or a session is shown whole, whenever it was. */}
            {page?.timed && pathname === page.path && <TimeRangePicker />}
            <Bell />
            <ThemeSwitch />
            <Tooltip label="Keyboard"><ActionIcon variant="subtle" color="gray" onClick={openHelp} aria-label="Keyboard shortcuts">?</ActionIcon></Tooltip>
            <AccountMenu />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p={6}><Navigation current={page} /></AppShell.Navbar>
      <AppShell.Main>
        {/* Outside of what changes with the address: so the page before stays in sight until the code of the next one is here. */}
        <Suspense fallback={<Waiting what="Loading the page" />}>
          <Boundary key={pathname}>
            <Routes>
              {PAGES.flatMap((known) => [known.path, ...(known.also ?? [])].map((path) => <Route key={path} path={path} element={<View page={known} />} />))}
              <Route path="*" element={<Empty title="There is no such page">The navigation on the left has all there are.</Empty>} />
            </Routes>
          </Boundary>
        </Suspense>
      </AppShell.Main>
      <Palette opened={palette} close={closePalette} />
      <Help opened={help} close={closeHelp} />
    </AppShell>
  );
}

/** A page whose code is here needs no fallback; `use` would show one even so. */
function View({ page }: { page: Page }) {
  const { may } = useSession();
  if (!may(page.scope)) return <NotOpen page={page} />;
  const Known = page.code.here ?? use(page.code.load());
  return <Known />;
}

/** Instead of a page whose every button the server would refuse. */
function NotOpen({ page }: { page: Page }) {
  const { may, signedIn } = useSession();
  const other = PAGES.find((known) => may(known.scope));
  const who = signedIn.role === null ? `This key has ${signedIn.scopes.join(", ")}.` : `Your role is ${signedIn.role}; an admin can give you another.`;
  return (
    <Empty title={`The page “${page.title}” is not open to you`} action={other && <Button component={Link} to={other.path} variant="default">Go to {other.title}</Button>}>
      It needs the scope <code>{page.scope}</code>. {who}
    </Empty>
  );
}

/** Links keep the time range. */
function Navigation({ current }: { current: Page | undefined }) {
  const { may } = useSession();
  const [params] = useSearchParams();
  return (
    <ScrollArea component="nav" aria-label="Pages">
      {GROUPS.map((group) => (
        <div key={group}>
          <Text size="xs" c="dimmed" fw={600} px="xs" pt="sm" pb={2}>{group}</Text>
          {PAGES.filter((page) => page.group === group && may(page.scope)).map((page) => (
            <NavLink
              key={page.path} component={Link} to={placeOf(page, params)} label={page.title}
              active={page === current} aria-current={page === current ? "page" : undefined} py={5} px="xs"
            />
          ))}
        </div>
      ))}
    </ScrollArea>
  );
}

function ThemeSwitch() {
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme("light");
  const other = scheme === "dark" ? "light" : "dark";
  return (
    <Tooltip label={`Use the ${other} theme`}>
      <ActionIcon variant="subtle" color="gray" onClick={() => setColorScheme(other)} aria-label={`Use the ${other} theme`}>{scheme === "dark" ? "☀" : "☾"}</ActionIcon>
    </Tooltip>
  );
}

function AccountMenu() {
  const { signedIn, signOut } = useSession();
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <UnstyledButton aria-label={`Account: ${signedIn.account ?? "API key"}`} className="clip" maw={160}><Text size="sm">{signedIn.account ?? "API key"}</Text></UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{signedIn.role ?? signedIn.scopes.join(", ")} · project {signedIn.project}</Menu.Label>
        <Menu.Item onClick={() => void signOut()}>Sign out</Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
