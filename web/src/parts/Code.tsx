/** Code that can be copied. */

import { ActionIcon, Box, CopyButton, Tooltip } from "@mantine/core";

export function CopyIcon({ value, label = "Copy" }: { value: string; label?: string }) {
  return (
    <CopyButton value={value} timeout={1500}>
      {({ copied, copy }) => (
        <Tooltip label={copied ? "Copied" : label}>
          <ActionIcon variant="subtle" color={copied ? "teal" : "gray"} size="sm" onClick={copy} aria-label={copied ? "Copied" : label}>
            {copied ? "✓" : "⧉"}
          </ActionIcon>
        </Tooltip>
      )}
    </CopyButton>
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
