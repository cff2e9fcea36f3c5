//! `/api/v1/judges/{name}/judgements`: one item judged now.

use axum::extract::State;
use qd_base::name::{ArtifactName, ModelName};
use qd_catalog::Scope;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path};
use crate::noun::judge::meant;
use crate::permission::{Caller, Permission};
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

pub(super) fn routes() -> Vec<Route> {
    let write = Permission::Scope(Scope::Write);
    let one = Doc::new("Judges", "judgeItem", "Judge one item now")
        .text("Needs the scope `infer` too, since a model is asked. What is judged is data: it stands in a fence that it cannot close. A ready judge, such as `ready/hallucination`, needs a model. The judgement is kept nowhere but in the traces of its calls.")
        .takes::<NewJudgement>()
        .gives::<JudgementBody>(200, "What the judge says");
    vec![Route::post("/api/v1/judges/{name}/judgements", write, one, judge)]
}

async fn judge(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<ArtifactName>,
    JsonBody(new): JsonBody<NewJudgement>,
) -> Result<Json<JudgementBody>> {
    caller.needs(Scope::Infer)?;
    let stored = meant(&surface, &caller, &name, new.version, new.model.as_ref()).await?;
    // Whoever goes away stops waiting for a busy model.
    let gone = CancellationToken::new();
    let _going = gone.clone().drop_guard();
    let judged = surface.app.calibrations.judges.run(&stored, &new.values, &gone).await?;
    if let Some(why) = judged.unreached {
        return Err(Error::Unreached { message: format!("The judge's model was not reached: {why}") });
    }
    let mut said = serde_json::to_value(&judged.judgement).unwrap_or_default();
    let usage = judged.judgement.usage;
    if let Some(said) = said.as_object_mut() {
        said.remove("usage");
        said.remove("calls");
    }
    Ok(Json(JudgementBody {
        judge: stored.reference(),
        calibrated: surface.app.calibrations.judges.is_calibrated(stored.info.id).await?,
        judgement: said,
        calls: judged.judgement.calls,
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cost_picodollars: judged.cost.map(|cost| cost.get()),
        unpriced: judged.unpriced,
        latency_ms: judged.latency_ms,
        trace: judged.trace.map(|trace| trace.to_string()),
    }))
}

/// An item to be judged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewJudgement {
    /// What the judge is shown: a text, or a list of texts, for each of its inputs. Others are left aside.
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
    /// The version of the judge; the latest when absent.
    pub version: Option<u32>,
    /// Of a ready judge, who judges.
    #[schema(value_type = Option<String>)]
    pub model: Option<ModelName>,
}

/// What a judge says of an item.
#[derive(Serialize, ToSchema)]
pub struct JudgementBody {
    /// Which version of which judge, as `name@3`.
    pub judge: String,
    /// Whether that was compared with people: only then its word has a known worth.
    pub calibrated: bool,
    /// `outcome` (`score`, `cannot_tell`, `invalid` or `failed`) with what belongs to it, `reasons`, `parts`, and what else the
    /// method tells. What is no score is never 0.
    #[schema(value_type = Object)]
    pub judgement: Value,
    /// Calls that were made.
    pub calls: u32,
    /// Tokens in.
    pub input_tokens: u64,
    /// Tokens out.
    pub output_tokens: u64,
    /// What it cost, in picodollars; null when no price is known.
    pub cost_picodollars: Option<i64>,
    /// Calls whose price is not known.
    pub unpriced: u32,
    /// How long it took.
    pub latency_ms: f64,
    /// The trace of its first call.
    pub trace: Option<String>,
}
