/** The end users of the calls. */

import { Anchor, Button } from "@mantine/core";
import { useState } from "react";
import { Link, useNavigate, useSearchParams } from "react-router";
import type { Schemas } from "../api/client";
import { count } from "../lib/format";
import { rangeParams, tracesLink } from "../lib/traceFilter";
import { ActivityPage, activityColumns } from "../parts/ActivityPage";
import { EraseUser } from "../parts/EraseUser";
import type { Column } from "../parts/VirtualTable";
import { useSession } from "../signin/session";

type User = Schemas["User"];

const PLACES = [{ path: "/sessions", title: "sessions" }, { path: "/traces", title: "traces" }, { path: "/", title: "overview" }] as const;

export default function Users() {
  const navigate = useNavigate();
  const { may } = useSession();
  const [erasing, erase] = useState<string | null>(null);
  const [params] = useSearchParams();
  const to = (path: string, user: User) => {
    const query = rangeParams(params);
    query.set("user", user.user_id);
    return `${path}?${query}`;
  };
  const { times, numbers } = activityColumns<User>((row, narrowed) => tracesLink(rangeParams(params), { user: row.user_id, ...narrowed }));
  const columns: Column<User>[] = [
    { key: "user", title: "User", width: "minmax(140px, 2fr)", cell: (row) => <Link to={to("/traces", row)} className="row-link" title="Traces of this user">{row.user_id}</Link> },
    { key: "links", title: "Go to", width: "210px", cell: (row) => PLACES.map(({ path, title }) => <Anchor key={path} component={Link} to={to(path, row)} inherit mr={12}>{title}</Anchor>) },
    ...times,
    { key: "sessions", title: "Sessions", width: "76px", numeric: true, cell: (row) => <Link to={to("/sessions", row)} className="row-link" title="Sessions of this user">{count(row.sessions)}</Link> },
    ...numbers,
    ...(may("admin") ? [{ key: "erase", title: "Erase", width: "84px", cell: (row: User) => <Button variant="subtle" color="red" size="compact-xs" aria-label={`Erase ${row.user_id}`} onClick={(event) => { event.stopPropagation(); erase(row.user_id); }}>Erase</Button> }] : []),
  ];
  return (
    <>
      <ActivityPage
        noun="users" title="Users" columns={columns} rowKey={(row) => row.user_id} open={(row) => navigate(to("/sessions", row))}
        empty={<>Name the end user of a call with the header <code>x-quarterdeck-user</code> or the field <code>user</code>, and they are listed here.</>}
      />
      <EraseUser user={erasing} close={() => erase(null)} />
    </>
  );
}
