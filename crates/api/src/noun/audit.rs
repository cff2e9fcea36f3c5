//! `/api/v1/audit`: who changed what, and whether the log is whole.

use axum::extract::State;
use qd_base::hash::Sha256Hex;
use qd_base::time::Timestamp;
use qd_catalog::{AuditEntry, AuditFilter, AuditReport, Page, Scope};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::doc::Doc;
use crate::error::Result;
use crate::extract::Query;
use crate::permission::Permission;
use crate::reply::Json;
use crate::route::Route;
use crate::state::Shared;

pub(crate) fn routes() -> Vec<Route> {
    let admin = Permission::Scope(Scope::Admin);
    let all = Doc::new("Audit", "listAudit", "Changes, the latest first")
        .query::<AuditQuery>()
        .gives::<AuditList>(200, "One page of them");
    let check = Doc::new("Audit", "verifyAudit", "Follow the chain of hashes from its beginning")
        .gives::<AuditReportBody>(200, "What was found");
    vec![Route::get("/api/v1/audit", admin, all, list), Route::get("/api/v1/audit/verify", admin, check, verify)]
}

async fn list(State(surface): State<Shared>, Query(query): Query<AuditQuery>) -> Result<Json<AuditList>> {
    let filter = AuditFilter { actor: query.actor, noun: query.noun, subject: query.subject };
    let page = Page::maybe_after(query.limit.unwrap_or(100), query.cursor);
    let found = surface.app.catalog.audit_log(&filter, page).await?;
    let next_cursor = found.next.map(|seq| seq.to_string());
    Ok(Json(AuditList { data: found.items.into_iter().map(AuditBody::from).collect(), next_cursor }))
}

async fn verify(State(surface): State<Shared>) -> Result<Json<AuditReportBody>> {
    let report = surface.app.catalog.verify_audit().await?;
    Ok(Json(report.into()))
}

/// Which changes are wanted.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AuditQuery {
    /// What this actor did.
    actor: Option<String>,
    /// What was done to this kind of thing.
    noun: Option<String>,
    /// What was done to this thing.
    subject: Option<String>,
    /// At most this many, of 1000 at most; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[param(value_type = Option<String>)]
    cursor: Option<u64>,
}

/// One page of changes.
#[derive(Serialize, ToSchema)]
pub struct AuditList {
    /// The changes, the latest first.
    pub data: Vec<AuditBody>,
    /// Asks for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A change.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct AuditBody {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what kind of thing.
    pub noun: String,
    /// To which one.
    pub subject: String,
    /// What else there is to say.
    #[schema(value_type = serde_json::Value)]
    pub detail: serde_json::Value,
    /// The hash of the chain up to here.
    #[schema(value_type = String)]
    pub hash: Sha256Hex,
}

/// What verification found.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditReport)]
pub struct AuditReportBody {
    /// Whether nothing is wrong.
    pub intact: bool,
    /// How many entries are in order.
    pub entries: u64,
    /// The hash of the last of them, to be noted elsewhere.
    #[schema(value_type = String)]
    pub head: Sha256Hex,
    /// The first entry that does not fit, and why.
    pub broken: Option<AuditBreakBody>,
}

/// Where the chain is broken.
#[derive(Serialize, ToSchema)]
#[schema(as = AuditBreak)]
pub struct AuditBreakBody {
    /// The entry.
    pub seq: u64,
    /// What does not fit.
    pub reason: String,
}

impl From<AuditEntry> for AuditBody {
    fn from(entry: AuditEntry) -> Self {
        Self {
            seq: entry.seq,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            noun: entry.noun,
            subject: entry.subject,
            detail: entry.detail,
            hash: entry.hash,
        }
    }
}

impl From<AuditReport> for AuditReportBody {
    fn from(report: AuditReport) -> Self {
        let broken = report.broken.map(|broken| AuditBreakBody { seq: broken.seq, reason: broken.reason });
        Self { intact: broken.is_none(), entries: report.entries, head: report.head, broken }
    }
}
