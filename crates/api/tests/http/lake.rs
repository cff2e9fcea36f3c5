//! `/api/v1/lake`.

use qd_catalog::Scope;
use serde_json::json;

use crate::house::{House, OPERATOR};

#[tokio::test]
async fn a_check_is_one_job_however_often_it_is_asked_for() {
    let house = House::open().await;
    let first = house.post(OPERATOR, "/api/v1/lake/verify", json!({})).await.expect(202);
    let again = house.post(OPERATOR, "/api/v1/lake/verify", json!({})).await.expect(202);
    assert_eq!(
        (&first["id"], &first["kind"], &first["state"]),
        (&again["id"], &json!("lake.verify"), &json!("queued"))
    );
    let writer = house.key(&[Scope::Write]).await;
    house.post(&writer, "/api/v1/lake/verify", json!({})).await.refused(403, "missing_scope");
}
