/** Conversations: a list, and each replayed. */

import { Link, useNavigate, useParams, useSearchParams } from "react-router";
import type { Schemas } from "../../api/client";
import { count } from "../../lib/format";
import { rangeParams, tracesLink } from "../../lib/traceFilter";
import { ActivityPage, activityColumns } from "../../parts/ActivityPage";
import type { Column } from "../../parts/VirtualTable";
import { Replay } from "./Replay";

type Session = Schemas["Session"];

export default function Page() {
  const { id } = useParams();
  return id === undefined ? <Sessions /> : <Replay key={id} id={id} />;
}

function Sessions() {
  const navigate = useNavigate();
  const [params] = useSearchParams();
  const replay = (session: Session) => ({ pathname: `/sessions/${encodeURIComponent(session.session_id)}`, search: rangeParams(params).toString() });
  const narrowed = (path: string, name: string, value: string) => {
    const query = rangeParams(params);
    query.set(name, value);
    return `${path}?${query}`;
  };
  const { times, numbers } = activityColumns<Session>((row, narrowed) => tracesLink(rangeParams(params), { session: row.session_id, ...narrowed }));
  const columns: Column<Session>[] = [
    { key: "session", title: "Session", width: "minmax(160px, 2fr)", cell: (row) => <Link to={replay(row)} className="row-link">{row.session_id}</Link> },
    { key: "user", title: "User", width: "minmax(100px, 1fr)", cell: (row) => row.user_id != null && <Link to={narrowed("/sessions", "user", row.user_id)} className="row-link" title="Sessions of this user">{row.user_id}</Link> },
    ...times,
    { key: "traces", title: "Traces", width: "66px", numeric: true, cell: (row) => <Link to={narrowed("/traces", "session", row.session_id)} className="row-link" title="Traces of this session">{count(row.traces)}</Link> },
    ...numbers,
  ];
  return (
    <ActivityPage
      noun="sessions" title="Sessions" columns={columns} rowKey={(row) => row.session_id} open={(row) => navigate(replay(row))}
      empty={<>Calls with the header <code>x-quarterdeck-session</code>, and spans with a <code>session_id</code>, are gathered into conversations here.</>}
    />
  );
}
