//! A client that leaves: the upstream is cancelled and the row says what had come.

use futures::StreamExt;
use qd_gateway::{Answer, Endpoint};
use qd_trace::Status;

use crate::house::House;
use crate::upstream::{Piece, Reply, Upstream, text};

#[tokio::test]
async fn leaving_a_stream_cancels_the_upstream() {
    let chunk = r#"{"model":"x","choices":[{"index":0,"delta":{"content":"Hello wo"}}]}"#;
    let upstream = Upstream::start(vec![Reply::Stream(vec![text(chunk), Piece::Hang])]).await;
    let house = House::with_route("m", &[(&upstream, "x")]).await;
    let answer = house.call(Endpoint::Chat, r#"{"model":"m","stream":true,"messages":[]}"#).await.unwrap();
    let Answer::Events(mut events) = answer else { panic!("a stream was asked for") };
    assert!(events.next().await.is_some());
    drop(events);
    upstream.left().await;
    let span = house.span().await;
    assert_eq!(span.status, Status::Cancelled);
    assert_eq!(span.output.as_ref().unwrap().as_str(), r#"[{"role":"assistant","content":"Hello wo"}]"#);
    assert_eq!(span.attributes["usage_estimated"], true);
    assert!(span.usage.unwrap().output_tokens > 0);
}

#[tokio::test]
async fn leaving_before_the_answer_cancels_the_upstream() {
    let upstream = Upstream::start(vec![Reply::Silence]).await;
    let house = House::with_route("m", &[(&upstream, "x")]).await;
    let call = house.gateway.call(house.context.clone(), Endpoint::Chat, r#"{"model":"m","messages":[]}"#.into());
    let mut call = Box::pin(call);
    // Polled until the upstream has the request, then dropped.
    let asked = async {
        while upstream.asked().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        biased;
        _ = &mut call => panic!("there is no answer to this call"),
        () = asked => (),
    }
    drop(call);
    upstream.left().await;
    let span = house.span().await;
    assert_eq!((span.status, span.usage), (Status::Cancelled, None));
}
