//! `quarterdeck budget`: what a project means to spend at most in a day, a week or a month.

use http::Method;
use qd_base::Picodollars;
use serde_json::{Value, json};

use crate::Error;
use crate::args::{Budget, NewBudget};
use crate::command::{rows_of, with_door};
use crate::context::Context;
use crate::door::{Door, segment};
use crate::output::Column;

/// A budget as tables show it.
pub const BUDGET: &[Column<'_>] = &[
    ("budget", "name"),
    ("period", "period"),
    ("of", "of"),
    ("limit", "limit"),
    ("used", "used_text"),
    ("share", "share"),
    ("at the end", "projected_text"),
    ("state", "state"),
];

/// Does what `verb` says.
pub async fn run(context: &Context, verb: Budget) -> Result<(), Error> {
    match verb {
        Budget::List => with_door(context, async |door| context.printer.rows(&list(door).await?, BUDGET)).await,
        Budget::Set(new) => {
            let spec = spec(&new)?;
            with_door(context, async |door| {
                let made = door.json(Method::PUT, &path(&new.name), Some(&spec)).await?;
                context.printer.rows(&[readable(made)], BUDGET)
            })
            .await
        }
        Budget::Remove { name } => with_door(context, async |door| door.delete(&path(&name)).await.map(drop)).await,
    }
}

/// The project's budgets.
pub async fn list(door: &Door) -> Result<Vec<Value>, Error> {
    Ok(rows_of(door.get("/api/v1/budgets").await?).into_iter().map(readable).collect())
}

fn path(name: &str) -> String {
    format!("/api/v1/budgets/{}", segment(name))
}

fn spec(new: &NewBudget) -> Result<Value, Error> {
    let (by, value) = match new.of.as_deref() {
        None => (None, None),
        Some(of) => {
            let (by, value) = of.split_once('=').ok_or_else(|| Error::Usage {
                problem: format!("{of:?} does not say what of"),
                help: "write it like model=gpt-4o-mini, provider=openai, user=ada, environment=production or prompt=greeting".to_owned(),
            })?;
            (Some(by), Some(value))
        }
    };
    Ok(json!({
        "period": new.period, "limit_picodollars": new.usd.map(Picodollars::get), "limit_tokens": new.tokens, "by": by, "value": value,
    }))
}

/// Adds what a person reads: amounts with their unit, the share in percent, which calls count.
fn readable(mut budget: Value) -> Value {
    let in_money = budget["limit_picodollars"].is_i64();
    let amount = |value: &Value| match (value.as_i64(), in_money) {
        (None, _) => Value::Null,
        (Some(amount), true) => cents(amount).into(),
        (Some(amount), false) => format!("{amount} tokens").into(),
    };
    let limit = if in_money { amount(&budget["limit_picodollars"]) } else { amount(&budget["limit_tokens"]) };
    let of = match (budget["by"].as_str(), budget["value"].as_str()) {
        (Some(by), Some(value)) => format!("{by}={value}"),
        _ => "all calls".to_owned(),
    };
    budget["limit"] = limit;
    budget["used_text"] = amount(&budget["used"]);
    budget["projected_text"] = amount(&budget["projected"]);
    budget["share"] = budget["used_share"].as_f64().map(|share| format!("{:.1} %", 100.0 * share)).into();
    budget["of"] = of.into();
    budget
}

/// Dollars as people look at budgets: to the cent, or exactly where that would be nothing.
fn cents(picodollars: i64) -> String {
    let dollars = Picodollars::new(picodollars).as_dollars();
    match dollars.abs() < 0.01 {
        true => Picodollars::new(picodollars).to_string(),
        false => format!("${dollars:.2}"),
    }
}

/// An amount of dollars as people write it: `250`, `0.05` or `$12.50`.
///
/// # Errors
/// A sentence for the person.
pub fn read_dollars(text: &str) -> Result<Picodollars, String> {
    let wrong = || format!("{text:?} is not an amount of US dollars: write it like 250 or 12.50");
    let (whole, part) = text.trim_start_matches('$').split_once('.').unwrap_or((text.trim_start_matches('$'), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) || part.len() > 12 {
        return Err(wrong());
    }
    let number = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i64>().ok() };
    let amount = || number(whole)?.checked_mul(Picodollars::PER_DOLLAR)?.checked_add(number(&format!("{part:0<12}"))?);
    amount().filter(|&amount| amount > 0).map(Picodollars::new).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_read_exactly() {
        let read = |text: &str| read_dollars(text).map(Picodollars::get);
        assert_eq!(read("250"), Ok(250_000_000_000_000));
        assert_eq!(read("$12.50"), Ok(12_500_000_000_000));
        assert_eq!((read(".05"), read("0.000000000001")), (Ok(50_000_000_000), Ok(1)));
        for wrong in ["", "$", ".", "-1", "1e3", "1,50", "0", "9300000", "1.0000000000001", "٣"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn budgets_are_readable() {
        let row = readable(json!({
            "limit_picodollars": 5_000_000_000_000_i64, "used": 1_234_000_000_000_i64, "used_share": 0.2468, "projected": null,
            "by": "model", "value": "m",
        }));
        assert_eq!(
            (&row["limit"], &row["used_text"], &row["share"]),
            (&json!("$5.00"), &json!("$1.23"), &json!("24.7 %"))
        );
        assert_eq!((&row["of"], &row["projected_text"]), (&json!("model=m"), &Value::Null));
    }
}
