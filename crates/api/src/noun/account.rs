//! `/api/v1/accounts`: the people who may sign in, and what each may do.

use axum::extract::State;
use http::StatusCode;
use qd_base::id::ProjectId;
use qd_base::name::AccountName;
use qd_base::secret::Secret;
use qd_base::time::Timestamp;
use qd_catalog::{Account, AccountChange, Catalog, Role, Scope};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::doc::Doc;
use crate::error::{Error, Result};
use crate::extract::{Json as JsonBody, Path};
use crate::permission::{Caller, Permission};
use crate::reply::{Created, Json};
use crate::route::Route;
use crate::state::{Shared, Surface};

pub(crate) fn routes() -> Vec<Route> {
    let admin = Permission::Scope(Scope::Admin);
    let all = Doc::new("Accounts", "listAccounts", "The people who may sign in")
        .text("Accounts act in the default project, so only its own administrators and the operator manage them.")
        .gives::<AccountList>(200, "The accounts, by name");
    let new =
        Doc::new("Accounts", "createAccount", "Add an account").takes::<NewAccount>().gives::<AccountBody>(201, "It");
    let put = Doc::new("Accounts", "changeAccount", "Change an account")
        .text("What is absent stays. Another password, and disabling the account, end its sign-ins at once; another role holds for them at once.")
        .takes::<AccountSpec>()
        .gives::<AccountBody>(200, "The account");
    let gone =
        Doc::new("Accounts", "removeAccount", "Remove an account and end its sign-ins").gives_nothing("It is gone");
    vec![
        Route::get("/api/v1/accounts", admin, all, list),
        Route::post("/api/v1/accounts", admin, new, create),
        Route::put("/api/v1/accounts/{name}", admin, put, change),
        Route::delete("/api/v1/accounts/{name}", admin, gone, remove),
    ]
}

async fn list(State(surface): State<Shared>, caller: Caller) -> Result<Json<AccountList>> {
    let accounts = acting(&surface, &caller)?.accounts().await?;
    Ok(Json(AccountList { data: accounts.into_iter().map(AccountBody::from).collect() }))
}

async fn create(
    State(surface): State<Shared>,
    caller: Caller,
    JsonBody(new): JsonBody<NewAccount>,
) -> Result<Created<AccountBody>> {
    let account = acting(&surface, &caller)?.create_account(&new.name, &new.password, new.role).await?;
    Ok(Created(account.into()))
}

async fn change(
    State(surface): State<Shared>,
    caller: Caller,
    Path(name): Path<AccountName>,
    JsonBody(spec): JsonBody<AccountSpec>,
) -> Result<Json<AccountBody>> {
    let change = AccountChange { role: spec.role, password: spec.password, disabled: spec.disabled };
    let account = acting(&surface, &caller)?.change_account(&name, change).await?;
    Ok(Json(account.into()))
}

async fn remove(State(surface): State<Shared>, caller: Caller, Path(name): Path<AccountName>) -> Result<StatusCode> {
    acting(&surface, &caller)?.remove_account(&name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The catalog in the hands of the caller, if it may manage accounts: another project's key that could make one would
/// come into the default project by a detour.
fn acting(surface: &Surface, caller: &Caller) -> Result<Catalog> {
    let catalog = &surface.app.catalog;
    match caller.reaches(catalog.default_project().id) {
        true => Ok(catalog.acting(&caller.actor())?),
        false => Err(Error::OperatorOnly { what: "manage accounts from another project than the default one" }),
    }
}

/// An account to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewAccount {
    /// The name to sign in with.
    #[schema(value_type = String)]
    pub name: AccountName,
    /// Its password: at least 12 characters.
    #[schema(value_type = String, write_only)]
    pub password: Secret,
    /// What it may do: `viewer`, `editor`, `admin`.
    #[schema(value_type = String)]
    pub role: Role,
}

/// What is to change about an account.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountSpec {
    /// What it may do: `viewer`, `editor`, `admin`.
    #[schema(value_type = Option<String>)]
    pub role: Option<Role>,
    /// Another password: at least 12 characters.
    #[schema(value_type = Option<String>, write_only)]
    pub password: Option<Secret>,
    /// Whether it may not sign in.
    pub disabled: Option<bool>,
}

/// A person who may sign in.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub struct AccountBody {
    /// The name to sign in with.
    #[schema(value_type = String)]
    pub name: AccountName,
    /// The project it acts in.
    #[schema(value_type = String, format = Uuid)]
    pub project: ProjectId,
    /// What it may do: `viewer`, `editor`, `admin`.
    #[schema(value_type = String)]
    pub role: Role,
    /// Whether it may not sign in.
    pub disabled: bool,
    /// When it was made.
    #[schema(value_type = String, format = DateTime)]
    pub created: Timestamp,
    /// When it was last changed.
    #[schema(value_type = String, format = DateTime)]
    pub updated: Timestamp,
}

/// Accounts.
#[derive(Serialize, ToSchema)]
pub struct AccountList {
    /// The accounts.
    pub data: Vec<AccountBody>,
}

impl From<Account> for AccountBody {
    fn from(account: Account) -> Self {
        Self {
            name: account.name,
            project: account.project,
            role: account.role,
            disabled: account.disabled,
            created: account.created,
            updated: account.updated,
        }
    }
}
