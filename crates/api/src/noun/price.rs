//! `/api/v1/prices`: what tokens cost, in a versioned table over the published prices.

use std::sync::Arc;

use axum::extract::State;
use qd_catalog::Scope;
use qd_trace::PriceTable;
use qd_trace::pricing::PriceRow;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::Result;
use crate::extract::Json as JsonBody;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let (read, admin) = (Permission::Scope(Scope::Read), Permission::Scope(Scope::Admin));
    let all = Doc::new("Prices", "getPrices", "The prices in force").gives::<PriceTableBody>(200, "All rows");
    let put = Doc::new("Prices", "putPrices", "Put a new version of the operator's prices in force")
        .text("The rows replace those put before. Where they are silent, the published prices that the program was built with hold. Calls that ended before keep their cost.")
        .takes::<NewPrices>()
        .gives::<PriceTableBody>(200, "All rows, as they are in force now");
    vec![Route::get("/api/v1/prices", read, all, show), Route::put("/api/v1/prices", admin, put, change)]
}

async fn show(State(surface): State<Shared>) -> Result<Json<PriceTableBody>> {
    let prices = PriceTable::in_force(&surface.app.catalog).await?;
    Ok(Json((&prices).into()))
}

async fn change(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewPrices>,
) -> Result<Json<PriceTableBody>> {
    let prices = PriceTable::put(&surface.app.catalog.acting(&caller.actor())?, new.rows).await?;
    let answer = Json((&prices).into());
    let prices = Arc::new(prices);
    surface.app.otlp.set_prices(Arc::clone(&prices));
    surface.app.gateway.set_prices(prices);
    Ok(answer)
}

/// The operator's prices.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPrices {
    /// All rows.
    #[schema(value_type = Vec<PriceRowBody>)]
    pub rows: Vec<PriceRow>,
}

/// A price table.
#[derive(Serialize, ToSchema)]
#[schema(as = PriceTable)]
pub struct PriceTableBody {
    /// Its version.
    pub version: u32,
    /// When these prices were true.
    pub as_of: String,
    /// All rows.
    #[schema(value_type = Vec<PriceRowBody>)]
    pub rows: Vec<PriceRow>,
}

/// The prices of one model at one provider, in US dollars per million tokens.
#[derive(ToSchema)]
#[schema(as = PriceRow)]
#[expect(dead_code, reason = "the schema of the price row that trace owns")]
pub struct PriceRowBody {
    /// The provider, or `*` for all.
    provider: String,
    /// The model as the provider calls it, or `*` for all.
    model: String,
    /// Tokens of the prompt.
    input: f64,
    /// Tokens of the prompt that came from a cache; like others when absent.
    cached: Option<f64>,
    /// Tokens of the answer.
    output: f64,
    /// Prices for calls with a long input.
    long: Option<LongPriceBody>,
}

/// The prices of a call whose input has more than `above` tokens.
#[derive(ToSchema)]
#[schema(as = LongPrice)]
#[expect(dead_code, reason = "the schema of the long rates that trace owns")]
pub struct LongPriceBody {
    /// The last input length that is not long.
    above: u64,
    /// Tokens of the prompt.
    input: f64,
    /// Tokens of the prompt that came from a cache.
    cached: Option<f64>,
    /// Tokens of the answer.
    output: f64,
}

impl From<&PriceTable> for PriceTableBody {
    fn from(prices: &PriceTable) -> Self {
        Self { version: prices.version(), as_of: prices.as_of().to_owned(), rows: prices.rows().to_vec() }
    }
}
