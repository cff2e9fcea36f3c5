//! What begins, carries and ends a sign-in.

use super::*;
use crate::account::AccountChange;
use crate::key::Scope;
use crate::testing::{catalog, reopen};
use crate::{AuditFilter, NewKey, Page};

const PASSWORD: &str = "correct horse battery";

fn ada() -> AccountName {
    "ada".parse().unwrap()
}

async fn with_ada() -> (Catalog, tempfile::TempDir) {
    let (catalog, dir) = catalog().await;
    catalog.create_account(&ada(), &Secret::new(PASSWORD), Role::Editor).await.unwrap();
    (catalog, dir)
}

async fn enter(catalog: &Catalog) -> NewSignIn {
    catalog.sign_in_with_password("ada", &Secret::new(PASSWORD), None).await.unwrap().expect("the password is right")
}

async fn key(catalog: &Catalog, expires: Option<Timestamp>) -> NewKey {
    let scopes = Scopes::from_iter([Scope::Read]);
    catalog.create_key(catalog.default_project().id, "laptop", scopes, expires).await.unwrap()
}

async fn is_in(catalog: &Catalog, made: &NewSignIn) -> bool {
    catalog.signed_in(made.token.expose()).await.is_some()
}

#[tokio::test]
async fn a_password_lets_in_and_the_token_is_not_kept() {
    let (catalog, dir) = with_ada().await;
    let made = enter(&catalog).await;
    let token = made.token.expose().to_owned();
    assert_eq!(token.len(), ENCODED_LEN);
    assert_eq!(made.sign_in.expires, made.sign_in.created.saturating_add(LONGEST));
    assert_eq!(catalog.signed_in(&token).await, Some(made.sign_in.clone()));
    for wrong in ["", "x", &token[1..], &"A".repeat(ENCODED_LEN)] {
        assert!(catalog.signed_in(wrong).await.is_none());
    }
    catalog.close().await;
    let file = std::fs::read(dir.path().join("catalog.db")).unwrap();
    assert!(!file.windows(token.len()).any(|found| found == token.as_bytes()));
    assert_eq!(reopen(dir.path()).await.signed_in(&token).await, Some(made.sign_in));
}

#[tokio::test]
async fn what_is_wrong_lets_nobody_in_and_is_audited() {
    let (catalog, _dir) = with_ada().await;
    let from = Some("192.0.2.7".parse().unwrap());
    for (account, password) in
        [("ada", "correct horse batterx"), ("bob", PASSWORD), ("Not A Name", PASSWORD), ("ada", "")]
    {
        let made = catalog.sign_in_with_password(account, &Secret::new(password), from).await.unwrap();
        assert!(made.is_none(), "{account}");
    }
    assert!(catalog.sign_in_with_key("qd-nothing", from).await.unwrap().is_none());
    let filter = AuditFilter { noun: Some("sign-in".into()), ..AuditFilter::default() };
    let log = catalog.audit_log(&filter, Page::first(10)).await.unwrap().items;
    let subjects: Vec<_> = log.iter().rev().map(|entry| entry.subject.as_str()).collect();
    assert_eq!(subjects, ["ada", "unknown", "unknown", "ada", "key"]);
    assert!(log.iter().all(|entry| entry.action == "refuse" && entry.detail == json!({ "address": "192.0.2.7" })));
}

#[tokio::test]
async fn signing_out_ends_it_for_good() {
    let (catalog, dir) = with_ada().await;
    let (one, other) = (enter(&catalog).await, enter(&catalog).await);
    assert!(catalog.sign_out(one.token.expose()).await.unwrap());
    assert!(!catalog.sign_out(one.token.expose()).await.unwrap());
    assert!(!is_in(&catalog, &one).await && is_in(&catalog, &other).await);
    let filter = AuditFilter { actor: Some("account:ada".into()), ..AuditFilter::default() };
    let log = catalog.audit_log(&filter, Page::first(10)).await.unwrap().items;
    assert_eq!(log.iter().map(|entry| entry.action.as_str()).collect::<Vec<_>>(), ["end", "create", "create"]);
    catalog.close().await;
    let catalog = reopen(dir.path()).await;
    assert!(!is_in(&catalog, &one).await && is_in(&catalog, &other).await);
}

#[tokio::test]
async fn what_happens_to_an_account_happens_to_its_sign_ins() {
    let changes = [
        (AccountChange { role: Some(Role::Viewer), ..AccountChange::default() }, true),
        (AccountChange { disabled: Some(false), ..AccountChange::default() }, true),
        (AccountChange { disabled: Some(true), ..AccountChange::default() }, false),
        (AccountChange { password: Some(Secret::new("another password")), ..AccountChange::default() }, false),
    ];
    for (change, goes_on) in changes {
        let (catalog, dir) = with_ada().await;
        let made = enter(&catalog).await;
        let account = catalog.change_account(&ada(), change.clone()).await.unwrap();
        let found = catalog.signed_in(made.token.expose()).await;
        assert_eq!(found.is_some(), goes_on, "{change:?}");
        if let Some(found) = found {
            assert_eq!(found.holder.scopes(), account.role.scopes());
        }
        catalog.close().await;
        assert_eq!(is_in(&reopen(dir.path()).await, &made).await, goes_on, "{change:?}");
    }
    let (catalog, _dir) = with_ada().await;
    let made = enter(&catalog).await;
    catalog.remove_account(&ada()).await.unwrap();
    assert!(!is_in(&catalog, &made).await);
}

#[tokio::test]
async fn a_disabled_account_and_an_old_password_let_nobody_in() {
    let (catalog, _dir) = with_ada().await;
    let disabled = |disabled| AccountChange { disabled: Some(disabled), ..AccountChange::default() };
    catalog.change_account(&ada(), disabled(true)).await.unwrap();
    assert!(catalog.sign_in_with_password("ada", &Secret::new(PASSWORD), None).await.unwrap().is_none());
    catalog.change_account(&ada(), disabled(false)).await.unwrap();
    enter(&catalog).await;
    let other = AccountChange { password: Some(Secret::new("another password")), ..AccountChange::default() };
    catalog.change_account(&ada(), other).await.unwrap();
    assert!(catalog.sign_in_with_password("ada", &Secret::new(PASSWORD), None).await.unwrap().is_none());
    let again = catalog.sign_in_with_password("ada", &Secret::new("another password"), None).await.unwrap();
    assert!(again.is_some());
}

#[tokio::test]
async fn a_key_lets_in_for_as_long_as_it_is_one() {
    let (catalog, dir) = catalog().await;
    let soon = Timestamp::now().saturating_add(Duration::from_secs(3600));
    let (lasting, short) = (key(&catalog, None).await, key(&catalog, Some(soon)).await);
    let enter = async |key: &NewKey| catalog.sign_in_with_key(key.secret.expose(), None).await.unwrap().unwrap();
    let (made, expiring) = (enter(&lasting).await, enter(&short).await);
    assert_eq!(expiring.sign_in.expires, soon);
    assert_eq!(made.sign_in.holder.actor(), format!("key:{}", lasting.record.id));
    assert!(is_in(&catalog, &made).await);
    catalog.revoke_key(None, lasting.record.id).await.unwrap();
    assert!(!is_in(&catalog, &made).await && is_in(&catalog, &expiring).await);
    assert!(catalog.sign_in_with_key(lasting.secret.expose(), None).await.unwrap().is_none());
    catalog.close().await;
    let catalog = reopen(dir.path()).await;
    assert!(!is_in(&catalog, &made).await && is_in(&catalog, &expiring).await);
}

#[tokio::test]
async fn an_idle_one_ends_after_twelve_hours_and_a_busy_one_after_seven_days() {
    let (catalog, _dir) = with_ada().await;
    let made = enter(&catalog).await;
    let ring = &catalog.inner().sign_ins;
    let digest = ring.digest_of(made.token.expose());
    let hours = |hours: u64| made.sign_in.created.saturating_add(Duration::from_secs(hours * 3600));
    let is_in = |at: u64| ring.find(&digest, hours(at)).is_some();
    // Used every 11 hours it lasts, until seven days are over.
    assert!((11..168).step_by(11).all(is_in));
    assert!(!is_in(168));
    let other = enter(&catalog).await;
    let digest = ring.digest_of(other.token.expose());
    let created = other.sign_in.created;
    assert!(ring.find(&digest, created.saturating_add(IDLE)).is_none());
    ring.sweep(created.saturating_add(IDLE));
    assert!(!super::tests::is_in(&catalog, &other).await);
}

#[tokio::test]
async fn its_use_is_written_now_and_then_by_one() {
    let (catalog, dir) = with_ada().await;
    let made = enter(&catalog).await;
    let ring = &catalog.inner().sign_ins;
    let digest = ring.digest_of(made.token.expose());
    let later = made.sign_in.created.saturating_add(SAVED_EVERY);
    let to_save = |at| ring.find(&digest, at).unwrap().1;
    assert!(!to_save(made.sign_in.created) && to_save(later) && !to_save(later));
    save_use(catalog.db(), &digest, later).await.unwrap();
    catalog.close().await;
    let catalog = reopen(dir.path()).await;
    let alive = catalog.inner().sign_ins.read();
    assert_eq!(alive[&digest].used_ns.load(Ordering::Relaxed), later.as_nanos());
}

#[tokio::test]
async fn one_more_than_the_most_ends_the_oldest() {
    let (catalog, _dir) = catalog().await;
    let (mine, theirs) = (key(&catalog, None).await, key(&catalog, None).await);
    let enter = async |key: &NewKey| catalog.sign_in_with_key(key.secret.expose(), None).await.unwrap().unwrap();
    let other = enter(&theirs).await;
    let mut made = Vec::new();
    for _ in 0..=MAX_EACH {
        made.push(enter(&mine).await);
    }
    assert!(!is_in(&catalog, &made[0]).await);
    assert!(is_in(&catalog, &made[1]).await && is_in(&catalog, &made[MAX_EACH]).await && is_in(&catalog, &other).await);
}

#[tokio::test]
async fn nobody_s_password_takes_as_long_as_a_wrong_one() {
    let (catalog, _dir) = with_ada().await;
    let mut times = [Duration::MAX; 2];
    for _ in 0..5 {
        for (time, account) in times.iter_mut().zip(["ada", "bob"]) {
            let started = std::time::Instant::now();
            catalog.sign_in_with_password(account, &Secret::new("wrong password"), None).await.unwrap();
            *time = started.elapsed().min(*time);
        }
    }
    // Without the hashing it would be a hundredth.
    assert!(times[1] * 10 > times[0] && times[0] * 10 > times[1], "{times:?}");
}
