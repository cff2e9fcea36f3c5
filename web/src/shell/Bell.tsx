/** How much of the inbox of alerts is unread: asked for now and then, and at once when something was read. */

import { ActionIcon, Tooltip } from "@mantine/core";
import { useQuery } from "@tanstack/react-query";
import { Link } from "react-router";
import { INBOX_COUNT } from "../parts/inbox";
import { useSession } from "../signin/session";

/** The server counts no further. */
const MOST = 100;

export function Bell() {
  const { may } = useSession();
  const asked = useQuery({ ...INBOX_COUNT, enabled: may("read") });
  if (!may("read")) return null;
  const unread = asked.data?.unread ?? 0;
  const firing = asked.data?.firing ?? 0;
  const shown = unread >= MOST ? `${MOST - 1}+` : String(unread);
  const label = `Inbox of alerts: ${unread === 0 ? "nothing" : shown} unread, ${firing} firing`;
  return (
    <Tooltip label={label}>
      <ActionIcon variant="subtle" color={firing > 0 ? "red" : "gray"} component={Link} to="/alerts?tab=inbox" aria-label={label} className="bell">
        <svg width="16" height="16" viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.3" aria-hidden="true">
          <path d="M3 12h10l-1.2-1.6V7a3.8 3.8 0 0 0-7.6 0v3.4zM6.6 14h2.8" strokeLinejoin="round" strokeLinecap="round" />
        </svg>
        {unread > 0 && <span className="bell-count">{shown}</span>}
      </ActionIcon>
    </Tooltip>
  );
}
