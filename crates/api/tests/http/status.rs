//! `/api/v1/status`.

use serde_json::json;

use crate::house::{House, OPERATOR};

#[tokio::test]
async fn it_counts() {
    let house = House::open().await;
    let span =
        json!({"kind": "tool", "name": "t", "start_time": "2026-01-31T00:00:00Z", "end_time": "2026-01-31T00:00:01Z"});
    house.post(OPERATOR, "/api/v1/traces", json!({"spans": [span]})).await.expect(200);
    let status = house.get(OPERATOR, "/api/v1/status").await.expect(200);
    assert_eq!((&status["lake"]["rows_committed"], &status["recorder"]["durable"]), (&json!(1), &json!(1)));
    assert_eq!(
        (&status["in_flight"], &status["stopping"], &status["unrecorded_calls"]),
        (&json!(1), &json!(false), &json!(0))
    );
}
