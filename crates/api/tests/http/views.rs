//! `/api/v1/views`.

use qd_catalog::Scope;
use serde_json::json;

use crate::house::House;

const PATH: &str = "/api/v1/views";

#[tokio::test]
async fn a_view_is_saved_changed_listed_and_forgotten() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    let theirs = house.key_of("other", &[Scope::Write]).await;
    for address in ["/traces?status=error", "/traces?status=error&model=echo-1"] {
        let put = house.put(&key, &format!("{PATH}/failures"), json!({"address": address})).await.expect(200);
        assert_eq!(put["address"], address);
    }
    house.put(&key, &format!("{PATH}/calm"), json!({"address": "/"})).await.expect(200);
    let listed = house.get(&key, PATH).await.expect(200);
    let names: Vec<_> = listed["data"].as_array().unwrap().iter().map(|view| view["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["calm", "failures"]);
    assert_eq!(listed["data"][1]["address"], "/traces?status=error&model=echo-1");
    assert_eq!(house.get(&theirs, PATH).await.expect(200)["data"], json!([]), "a view belongs to its project");
    assert_eq!(house.delete(&key, &format!("{PATH}/failures")).await.status, 204);
    house.delete(&key, &format!("{PATH}/failures")).await.refused(404, "not_found");
    assert_eq!(house.get(&key, PATH).await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_view_that_leads_elsewhere_is_refused() {
    let house = House::open().await;
    let key = house.key(&[Scope::Write]).await;
    let long = format!("/{}", "x".repeat(4096));
    for address in ["https://example.org", "//example.org", "traces", "/\\example.org", "/a\nb", "", long.as_str()] {
        let error =
            house.put(&key, &format!("{PATH}/bad"), json!({"address": address})).await.refused(400, "invalid_value");
        assert_eq!(error["param"], "address", "{address}");
    }
    let reader = house.key(&[Scope::Read]).await;
    house.put(&reader, &format!("{PATH}/mine"), json!({"address": "/"})).await.refused(403, "missing_scope");
}
