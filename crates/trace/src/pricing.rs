//! What tokens cost: a versioned table of published prices, and integers from there on.

use std::collections::{BTreeMap, HashMap};

use qd_base::{Picodollars, Usage};
use qd_catalog::Catalog;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Error, Result};

/// The name of the provider that is the engine in this process; its models are free.
pub const LOCAL: &str = "local";
/// In a row: every model of the provider, or every provider.
const ANY: &str = "*";
/// The prices that were published when this version was built.
const BUILT_IN: &str = include_str!("../data/prices.toml");
/// One dollar in a million tokens is this many picodollars in one.
const PICODOLLARS: f64 = 1e6;
/// No model costs this much for a million tokens; a row that says so has its unit wrong.
const HIGHEST_DOLLARS: f64 = 1e6;

/// Prices by provider and model.
///
/// ```
/// use qd_base::Usage;
/// use qd_trace::PriceTable;
/// let usage = Usage { input_tokens: 1_000, output_tokens: 100, cached_tokens: 0, reasoning_tokens: 0 };
/// let cost = PriceTable::built_in().cost("openai", "gpt-4o-mini", usage).unwrap();
/// assert_eq!(cost.to_string(), "$0.00021"); // 1,000 × $0.15 / 1M + 100 × $0.60 / 1M
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PriceTable {
    version: u32,
    as_of: String,
    rows: Vec<PriceRow>,
    prices: HashMap<String, HashMap<String, Price>>,
}

/// One line of a price table, in US dollars per million tokens: the form in the built-in file, in the API and in the catalog.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PriceRow {
    /// The provider's name, or `*` for all.
    pub provider: String,
    /// The model's name as the provider tells it, or `*` for all.
    pub model: String,
    /// The prices.
    #[serde(flatten)]
    pub rates: Rates,
    /// Prices for calls with a long input.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long: Option<LongRates>,
}

/// US dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Tokens of the prompt.
    pub input: f64,
    /// Tokens of the prompt that the provider read from its cache; like others when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<f64>,
    /// Tokens of the answer, hidden reasoning included.
    pub output: f64,
}

/// The prices of a call whose input has more than `above` tokens; they hold for all its tokens.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LongRates {
    /// The last input length that is not long.
    pub above: u64,
    /// The prices beyond it.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Prices of one token.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Price {
    short: PerToken,
    long: Option<(u64, PerToken)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct PerToken {
    input: Picodollars,
    cached: Picodollars,
    output: Picodollars,
}

impl PriceTable {
    /// The version of the prices that the program was built with; the catalog counts its own from 1.
    pub const BUILT_IN: u32 = 0;

    /// The published prices that this program was built with.
    pub fn built_in() -> Self {
        // A test reads the file, so a released program never panics here.
        Self::parse(BUILT_IN).expect("the built-in price table is valid")
    }

    /// This table with `rows` over it: a row replaces the one for the same provider and model. The result bears `version`.
    ///
    /// # Errors
    /// [`Error::Price`] when a price is negative, not a number, or finer than a picodollar per token.
    pub fn with(&self, version: u32, as_of: impl Into<String>, rows: Vec<PriceRow>) -> Result<Self> {
        let replaced =
            |old: &PriceRow| rows.iter().any(|new| (&new.provider, &new.model) == (&old.provider, &old.model));
        let mut all: Vec<PriceRow> = self.rows.iter().filter(|row| !replaced(row)).cloned().collect();
        all.extend(rows);
        Self::of(version, as_of.into(), all)
    }

    /// The prices in force: those of the catalog over those built in.
    ///
    /// # Errors
    /// [`Error::Prices`] when the catalog cannot be read, [`Error::Price`] when it holds a row that is no price.
    pub async fn in_force(catalog: &Catalog) -> Result<Self> {
        let Some(put) = catalog.prices().await.map_err(Error::prices("reading the prices in force"))? else {
            return Ok(Self::built_in());
        };
        let row = |row| {
            serde_json::from_value(row)
                .map_err(|cause| Error::Price { what: format!("version {}", put.version), why: cause.to_string() })
        };
        let rows = put.rows.into_iter().map(row).collect::<Result<_>>()?;
        Self::built_in().with(put.version, put.created.to_string(), rows)
    }

    /// Puts `rows` in force, in place of all rows put before; the built-in prices stay below them.
    ///
    /// # Errors
    /// [`Error::Price`] when a row is no price; nothing changes then. [`Error::Prices`] when the catalog does not take them.
    pub async fn put(catalog: &Catalog, rows: Vec<PriceRow>) -> Result<Self> {
        Self::built_in().with(0, String::new(), rows.clone())?;
        let refuse = |cause: serde_json::Error| Error::Price { what: "a row".into(), why: cause.to_string() };
        let values: Vec<Value> = rows.iter().map(serde_json::to_value).collect::<Result<_, _>>().map_err(refuse)?;
        let put = catalog.put_prices(&values).await.map_err(Error::prices("putting prices in force"))?;
        Self::built_in().with(put.version, put.created.to_string(), rows)
    }

    /// Which version of the prices this is: the catalog's number, or [`PriceTable::BUILT_IN`].
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The date or time at which these prices were true.
    pub fn as_of(&self) -> &str {
        &self.as_of
    }

    /// All rows, for showing.
    pub fn rows(&self) -> &[PriceRow] {
        &self.rows
    }

    /// What `usage` costs; `None` when there is no price for this model of this provider.
    pub fn cost(&self, provider: &str, model: &str, usage: Usage) -> Option<Picodollars> {
        Some(self.price(provider, model)?.cost(usage))
    }

    fn price(&self, provider: &str, model: &str) -> Option<&Price> {
        [provider, ANY]
            .into_iter()
            .filter_map(|provider| self.prices.get(provider))
            .find_map(|models| models.get(model).or_else(|| models.get(undated(model)?)).or_else(|| models.get(ANY)))
    }

    fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text)
            .map_err(|cause| Error::Price { what: "the price table".into(), why: cause.to_string() })?;
        let row = |provider: &str, line: Line| PriceRow {
            provider: provider.into(),
            model: line.model,
            rates: line.rates,
            long: line.long,
        };
        let rows = file
            .providers
            .into_iter()
            .flat_map(|(provider, list)| list.models.into_iter().map(move |line| row(&provider, line)));
        Self::of(Self::BUILT_IN, file.as_of, rows.collect())
    }

    fn of(version: u32, as_of: String, rows: Vec<PriceRow>) -> Result<Self> {
        let mut prices: HashMap<String, HashMap<String, Price>> = HashMap::new();
        for row in &rows {
            prices.entry(row.provider.clone()).or_default().insert(row.model.clone(), Price::of(row)?);
        }
        Ok(Self { version, as_of, rows, prices })
    }
}

impl Price {
    fn of(row: &PriceRow) -> Result<Self> {
        let refuse = |why: String| Error::Price { what: format!("{} {}", row.provider, row.model), why };
        let short = PerToken::of(&row.rates).map_err(refuse)?;
        let long = row
            .long
            .map(|long| Ok::<_, Error>((long.above, PerToken::of(&long.rates).map_err(refuse)?)))
            .transpose()?;
        Ok(Self { short, long })
    }

    fn cost(&self, usage: Usage) -> Picodollars {
        let price = match self.long {
            Some((above, long)) if usage.input_tokens > above => long,
            _ => self.short,
        };
        // An upstream that reports more cached tokens than tokens must not make a call cheaper than free.
        let cached = usage.cached_tokens.min(usage.input_tokens);
        price.input.times(usage.input_tokens - cached)
            + price.cached.times(cached)
            + price.output.times(usage.output_tokens)
    }
}

impl PerToken {
    fn of(rates: &Rates) -> Result<Self, String> {
        let input = per_token(rates.input)?;
        Ok(Self { input, cached: rates.cached.map_or(Ok(input), per_token)?, output: per_token(rates.output)? })
    }
}

/// The integer price of one token.
fn per_token(dollars_per_million: f64) -> Result<Picodollars, String> {
    let exact = dollars_per_million * PICODOLLARS;
    if !(0.0..=HIGHEST_DOLLARS).contains(&dollars_per_million) {
        return Err(format!("{dollars_per_million} dollars per million tokens is not between 0 and {HIGHEST_DOLLARS}"));
    }
    // The product of a decimal fraction and a million misses the integer by rounding only.
    if (exact - exact.round()).abs() > 1e-3 {
        return Err(format!(
            "{dollars_per_million} dollars per million tokens is finer than a picodollar per token: use six decimals"
        ));
    }
    Ok(Picodollars::new(exact.round() as i64))
}

/// The model's name without the date of its snapshot: `gpt-4o-2024-08-06` and `claude-opus-4-5-20251101` have one.
fn undated(model: &str) -> Option<&str> {
    let digits_at = |at: &[usize], text: &str| at.iter().all(|&i| text.as_bytes()[i].is_ascii_digit());
    let (name, date) = model.split_at_checked(model.len().checked_sub(11)?)?;
    if date.is_ascii()
        && digits_at(&[1, 2, 3, 4, 6, 7, 9, 10], date)
        && [0, 5, 8].iter().all(|&i| date.as_bytes()[i] == b'-')
    {
        return Some(name);
    }
    let (name, date) = model.split_at_checked(model.len() - 9)?;
    (date.starts_with('-') && digits_at(&[1, 2, 3, 4, 5, 6, 7, 8], date)).then_some(name)
}

/// The file: a date, and one table for each provider.
#[derive(Deserialize)]
struct File {
    as_of: String,
    #[serde(flatten)]
    providers: BTreeMap<String, List>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    /// Where the prices were read; for people.
    #[serde(rename = "source")]
    _source: String,
    models: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    model: String,
    #[serde(flatten)]
    rates: Rates,
    #[serde(default)]
    long: Option<LongRates>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn usage(input: u64, cached: u64, output: u64) -> Usage {
        Usage { input_tokens: input, cached_tokens: cached, output_tokens: output, reasoning_tokens: 0 }
    }

    /// Costs by hand, from the prices on the providers' pages; the sum is written beside each.
    #[test]
    fn costs_are_those_of_a_hand_calculation() {
        let table = PriceTable::built_in();
        let check = |provider, model, usage, dollars: &str| {
            assert_eq!(table.cost(provider, model, usage).unwrap().to_string(), dollars, "{provider} {model}");
        };
        // gpt-4o: $2.50 in, $1.25 cached, $10 out. (1000 − 400) × 2.5 + 400 × 1.25 + 50 × 10 = 1500 + 500 + 500 millionths.
        check("openai", "gpt-4o", usage(1_000, 400, 50), "$0.0025");
        // The same family, dated; 7 × 2.5 = 17.5 millionths, + 3 × 10 = 47.5.
        check("openai", "gpt-4o-2024-08-06", usage(7, 0, 3), "$0.0000475");
        // A snapshot with a price of its own: $5 in, $15 out. 7 × 5 + 3 × 15 = 80 millionths.
        check("openai", "gpt-4o-2024-05-13", usage(7, 0, 3), "$0.00008");
        // claude-sonnet-4-5: $3 in, $0.30 cached, $15 out. 2000 × 3 + 8000 × 0.3 + 500 × 15 = 6000 + 2400 + 7500.
        check("anthropic", "claude-sonnet-4-5-20250929", usage(10_000, 8_000, 500), "$0.0159");
        // gemini-2.5-pro up to 200,000: $1.25 in, $10 out. 200,000 × 1.25 = 250,000 millionths, + 10.
        check("google", "gemini-2.5-pro", usage(200_000, 0, 1), "$0.25001");
        // Beyond: $2.50, cached $0.25, $15. 100,001 × 2.5 + 100,000 × 0.25 + 15 = 250,002.5 + 25,000 + 15.
        check("google", "gemini-2.5-pro", usage(200_001, 100_000, 1), "$0.2750175");
        // text-embedding-3-small: $0.02 in. 123 × 0.02 = 2.46 millionths.
        check("openai", "text-embedding-3-small", usage(123, 0, 0), "$0.00000246");
        // gpt-3.5-turbo names no cached price: $0.50 for all input, $1.50 out. 10 × 0.5 + 1.5.
        check("openai", "gpt-3.5-turbo", usage(10, 10, 1), "$0.0000065");
        check(LOCAL, "smollm2-135m-instruct", usage(1_000_000, 0, 1_000_000), "$0.00");
    }

    #[test]
    fn an_unknown_price_is_not_a_guess() {
        let table = PriceTable::built_in();
        assert_eq!(table.cost("openai", "gpt-99", usage(1, 0, 1)), None);
        assert_eq!(table.cost("elsewhere", "gpt-4o", usage(1, 0, 1)), None);
        assert_eq!(table.cost("openai", "", usage(1, 0, 1)), None);
        assert_eq!(table.cost("openai", "é-2024-05-13", usage(1, 0, 1)), None);
    }

    #[test]
    fn rows_of_the_catalog_come_first() {
        let row = |provider: &str, model: &str, input| PriceRow {
            provider: provider.into(),
            model: model.into(),
            rates: Rates { input, cached: None, output: 0.0 },
            long: None,
        };
        let table = PriceTable::built_in()
            .with(7, "2027-01-01", vec![row("openai", "gpt-4o", 1.0), row("*", "gpt-4o", 3.0), row("stub", "*", 2.0)])
            .unwrap();
        let cost = |provider, model| table.cost(provider, model, usage(1, 0, 0)).map(Picodollars::get);
        assert_eq!(cost("openai", "gpt-4o"), Some(1_000_000));
        assert_eq!(cost("elsewhere", "gpt-4o"), Some(3_000_000));
        assert_eq!(cost("stub", "anything"), Some(2_000_000));
        assert_eq!(cost("openai", "gpt-4o-mini"), Some(150_000));
        assert_eq!((table.version(), table.as_of()), (7, "2027-01-01"));
        assert_eq!(table.rows().len(), PriceTable::built_in().rows().len() + 2);
    }

    #[test]
    fn wrong_prices_are_refused() {
        let check = |input: f64| {
            let row = PriceRow {
                provider: "p".into(),
                model: "m".into(),
                rates: Rates { input, cached: None, output: 0.0 },
                long: None,
            };
            assert!(matches!(PriceTable::built_in().with(1, "", vec![row]), Err(Error::Price { .. })), "{input}");
        };
        [-1.0, f64::NAN, f64::INFINITY, 2e6, 0.000_000_1].into_iter().for_each(check);
    }

    #[test]
    fn a_row_has_one_form_in_json() {
        let json = r#"{"provider":"p","model":"m","input":2.5,"cached":0.25,"output":10.0,"long":{"above":200000,"input":5.0,"output":15.0}}"#;
        let row: PriceRow = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&row).unwrap(), json);
        assert!(serde_json::from_str::<PriceRow>(&json.replace("cached", "cache")).is_err());
    }

    proptest! {
        /// Caching never makes a call dearer, and no report of an upstream makes a cost negative.
        #[test]
        fn costs_are_monotonic(input in 0u64..1 << 40, cached: u64, output in 0u64..1 << 40) {
            let table = PriceTable::built_in();
            let with = table.cost("openai", "gpt-4o", usage(input, cached, output)).unwrap();
            let without = table.cost("openai", "gpt-4o", usage(input, 0, output)).unwrap();
            prop_assert!(Picodollars::ZERO <= with && with <= without);
        }
    }
}
