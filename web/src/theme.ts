/** Calm and dense: small type, few colours, numbers that line up. */

import { createTheme, type CSSVariablesResolver } from "@mantine/core";

export const theme = createTheme({
  primaryColor: "cyan",
  primaryShade: { light: 9, dark: 9 },
  autoContrast: true,
  respectReducedMotion: true,
  defaultRadius: "sm",
  fontFamily: "Inter, system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, 'DejaVu Sans Mono', monospace",
  fontSizes: { xs: "0.75rem", sm: "0.8125rem", md: "0.875rem", lg: "1rem", xl: "1.25rem" },
  headings: { sizes: { h1: { fontSize: "1.25rem" }, h2: { fontSize: "1.05rem" }, h3: { fontSize: "0.95rem" } } },
  components: {
    Button: { defaultProps: { size: "xs" } },
    TextInput: { defaultProps: { size: "xs" } },
    PasswordInput: { defaultProps: { size: "xs" } },
    Textarea: { defaultProps: { size: "xs" } },
    NumberInput: { defaultProps: { size: "xs" } },
    Select: { defaultProps: { size: "xs" } },
    MultiSelect: { defaultProps: { size: "xs" } },
    SegmentedControl: { defaultProps: { size: "xs" } },
    Table: { defaultProps: { verticalSpacing: 4, fz: "sm" } },
    Badge: { defaultProps: { variant: "light", size: "sm", tt: "none" } },
    Tooltip: { defaultProps: { openDelay: 300, withArrow: true } },
  },
});

/** Darker than a palette's darkest: 4.5 to 1 on its second tint and under white, also while a pointer is over it. */
const STRONG = { cyan: "#0a6778", teal: "#076d4e", green: "#226e32", yellow: "#a15300", orange: "#a9380c", red: "#ad2424" };

const named = (variable: string, colours: object) => Object.fromEntries(Object.entries(colours).map(([name, colour]) => [`--mantine-color-${name}-${variable}`, colour]));

/** Mantine's hovered buttons are lighter than their text allows, and so is text on a light ground. */
export const cssVariablesResolver: CSSVariablesResolver = () => ({
  variables: {},
  light: { ...named("filled-hover", STRONG), ...named("light-color", STRONG), ...named("text", STRONG), ...named("outline", STRONG) },
  dark: named("filled-hover", STRONG),
});
