/** Code that can be copied. */

import { ActionIcon, Box, CopyButton, Tooltip } from "@mantine/core";

export function CopyIcon({ value, label = "Copy" }: { value: string; label?: string }) {
  return (
    <CopyButton value={value} timeout={1500}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? "Copied" : label}>
          <ActionIcon variant="subtle" color={copied ? "teal" : "gray"} size="sm" onClick={copy} aria-label={copied ? "Copied" : label}>
            {copied ? "✓" : <Sheets />}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
  );
}

/** Two sheets, drawn: the character for them is missing in many fonts. */
function Sheets() {
  return (
    <svg width="13" height="13" viewBox="0 0 16 16" fill="none" stroke="currentColor" strokeWidth="1.5" aria-hidden>
      <rect x="5.5" y="5.5" width="9" height="9" rx="1.5" />
      <path d="M10.5 5.5v-3a1 1 0 0 0-1-1h-7a1 1 0 0 0-1 1v7a1 1 0 0 0 1 1h3" />
    </svg>
  );
}

/** A block of code with a button to copy it. */
export function CodeBlock({ code, label = "Copy the code" }: { code: string; label?: string }) {
  return (
    <Box className="code-block">
      <pre tabIndex={0}><code>{code}</code></pre>
      <Box className="code-block-copy"><CopyIcon value={code} label={label} /></Box>
    </Box>
  );
}
