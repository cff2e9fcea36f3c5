/** What alerts told, and what each rule's history is. */

import { Badge, Button, Checkbox, Group, Stack, Table, Text, Tooltip } from "@mantine/core";
import { useInfiniteQuery, useMutation, useQueryClient } from "@tanstack/react-query";
import { useSearchParams } from "react-router";
import { api, take } from "../../api/client";
import { ago, time } from "../../lib/format";
import { Empty, Failed, Waiting } from "../../parts/states";
import { type AlertEvent, ALERTS, COLOURS, words } from "./ask";

const PAGE = 50;

export function Inbox() {
  const queries = useQueryClient();
  const [params, setParams] = useSearchParams();
  const unread = params.get("unread") === "only";
  const asked = useInfiniteQuery({
    queryKey: ["alerts", "inbox", unread],
    queryFn: ({ pageParam }) => take(api.GET("/api/v1/alerts/inbox", { params: { query: { limit: PAGE, cursor: pageParam, unread: unread || undefined } } })),
    initialPageParam: undefined as string | undefined, getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const mark = useMutation({
    mutationFn: (ids: string[] | null) => take(api.POST("/api/v1/alerts/inbox/read", { body: ids === null ? { all: true } : { ids } })),
    onSettled: () => queries.invalidateQueries({ queryKey: ALERTS }),
  });
  const events = asked.data?.pages.flatMap((page) => page.data) ?? [];
  return (
    <Stack gap="sm">
      <Group justify="space-between">
        <Checkbox size="xs" label="Only what is unread" checked={unread} onChange={(event) => setParams({ tab: "inbox", ...(event.currentTarget.checked ? { unread: "only" } : {}) }, { replace: true })} />
        {events.some((event) => !event.read) && <Button variant="default" loading={mark.isPending} onClick={() => mark.mutate(null)}>Mark all as read</Button>}
      </Group>
      {mark.isError && <Failed error={mark.error} />}
      {asked.isPending && <Waiting what="Loading the inbox" />}
      {asked.isError && <Failed error={asked.error} retry={() => void asked.refetch()} />}
      {asked.data && events.length === 0 && <Empty title={unread ? "Nothing is unread" : "Nothing was told yet"}>What rules tell stands here, also what a silence keeps from the receivers.</Empty>}
      {events.length > 0 && <Events events={events} named mark={(event) => mark.mutate([event.id])} />}
      {asked.hasNextPage && <Group justify="center"><Button variant="default" loading={asked.isFetchingNextPage} onClick={() => void asked.fetchNextPage()}>Earlier ones</Button></Group>}
    </Stack>
  );
}

/** All that changed about a rule. */
export function History({ name }: { name: string }) {
  const asked = useInfiniteQuery({
    queryKey: ["alerts", "history", name],
    queryFn: ({ pageParam }) => take(api.GET("/api/v1/alerts/rules/{name}/history", { params: { path: { name }, query: { limit: PAGE, cursor: pageParam } } })),
    initialPageParam: undefined as string | undefined, getNextPageParam: (page) => page.next_cursor ?? undefined,
  });
  const events = asked.data?.pages.flatMap((page) => page.data) ?? [];
  if (asked.isPending) return <Waiting what="Loading the history" />;
  if (asked.isError) return <Failed error={asked.error} retry={() => void asked.refetch()} />;
  if (events.length === 0) return <Text size="sm">Nothing has changed since it was made.</Text>;
  return (
    <Stack gap="sm">
      <Events events={events} named={false} mark={null} />
      {asked.hasNextPage && <Group justify="center"><Button variant="default" loading={asked.isFetchingNextPage} onClick={() => void asked.fetchNextPage()}>Earlier ones</Button></Group>}
    </Stack>
  );
}

function Events({ events, named, mark }: { events: readonly AlertEvent[]; named: boolean; mark: ((event: AlertEvent) => void) | null }) {
  return (
    <Table.ScrollContainer minWidth={named ? 760 : 420}>
      <Table highlightOnHover>
        <Table.Thead>
          <Table.Tr>
            {["When", "Change", ...(named ? ["Alert", "Severity"] : []), "Read", ...(named ? ["Looked for"] : [])].map((name) => <Table.Th key={name} scope="col">{name}</Table.Th>)}
            {mark && <Table.Td />}
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>{events.map((event) => <EventRow key={event.id} event={event} named={named} mark={mark} />)}</Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function EventRow({ event, named, mark }: { event: AlertEvent; named: boolean; mark: ((event: AlertEvent) => void) | null }) {
  return (
    <Table.Tr fw={named && !event.read ? 650 : undefined}>
      <Table.Td><Tooltip label={time(event.at)}><span>{ago(event.at)}</span></Tooltip></Table.Td>
      <Table.Td>
        <Group gap={4} wrap="nowrap">
          <Badge variant="dot" color={COLOURS[event.change]}>{words(event.change)}</Badge>
          {event.silenced && <Badge variant="default">silenced</Badge>}
        </Group>
      </Table.Td>
      {named && <Table.Td>{event.alert}</Table.Td>}
      {named && <Table.Td>{event.severity}</Table.Td>}
      <Table.Td>{event.message}</Table.Td>
      {named && <Table.Td>{event.summary}</Table.Td>}
      {mark && <Table.Td ta="right">{!event.read && <Button variant="subtle" size="compact-xs" onClick={() => mark(event)} aria-label={`Mark ${event.alert} ${words(event.change)} as read`}>Mark as read</Button>}</Table.Td>}
    </Table.Tr>
  );
}
