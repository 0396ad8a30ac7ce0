//! Connections and streams that end, by whoever ends them.

use super::*;

#[tokio::test]
async fn a_target_that_says_goodbye_loses_nothing() {
    let target = echo();
    let proxy = behind(&target, "HTTP2");
    let client = Http2::connect(proxy.address()).await;
    for nth in 0..30 {
        // Each method, as nothing that was not taken can have run.
        let method = ["GET", "POST"][nth % 2];
        let response = client.send(request(method, "/", full("x"))).await.unwrap();
        assert_eq!(response.status(), 200);
        target.go_away();
    }
    assert_eq!(requests(&target).len(), 30);
}

#[tokio::test]
async fn a_connection_that_breaks_is_replaced() {
    let target = echo();
    let proxy = behind(&target, "HTTP2");
    let client = Http2::connect(proxy.address()).await;
    for _ in 0..10 {
        assert_eq!(client.get("/").await.0, 200);
        target.break_off();
    }
}

#[tokio::test]
async fn requests_that_are_sent_again_at_once_share_a_connection() {
    const REQUESTS: usize = 50;
    let seen = std::sync::atomic::AtomicUsize::new(0);
    let target = Http2Target::answering(move |_| {
        let nth = seen.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        Box::pin(async move {
            if (1..=REQUESTS).contains(&nth) {
                std::future::pending::<()>().await;
            }
            Response::new(full("well"))
        })
    });
    let health = Target::saying("well");
    let proxy = Setup::to([target.address])
        .https()
        .with("workers = 1")
        .group("protocol_version = 'HTTP2'")
        .group(&format!(
            "health_check = {{ port = {}, interval = 30, protocol = 'HTTP' }}",
            health.address.port()
        ))
        .start_unhealthy();
    let client = Http2::connect(proxy.address()).await;
    assert_eq!(client.get("/").await.0, 200, "the connection is there");
    let asking = futures_util::future::join_all((0..REQUESTS).map(|_| client.get("/")));
    let breaking = async {
        while target.requests().len() <= REQUESTS {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        target.break_off();
    };
    let (answers, ()) = tokio::join!(asking, breaking);
    assert!(answers.iter().all(|(status, _)| *status == 200));
    let opened = proxy.metric("new_connection_count_total{side=\"target\"}");
    assert!(opened <= 3, "{opened} connections");
}

#[tokio::test]
async fn a_response_that_breaks_off_is_a_reset_stream() {
    let target = Http2Target::answering(|_| {
        Box::pin(async {
            let (sender, body) = growing();
            tokio::spawn(async move {
                let _ = sender.send(Bytes::from("half")).await;
                tokio::time::sleep(Duration::from_secs(60)).await;
            });
            Response::new(body)
        })
    });
    let proxy = setup(&target, "HTTP2")
        .group("deregistration_delay = 1")
        .start();
    let client = Http2::connect(proxy.address()).await;
    let response = client.send(request("GET", "/", empty())).await.unwrap();
    let mut pieces = response.into_body();
    let first = pieces.frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first, "half");
    target.break_off();
    assert!(pieces.frame().await.unwrap().is_err(), "half is not whole");
    let record = proxy.log_line();
    assert_eq!(record["reason"], "target_response_incomplete");
}

#[tokio::test]
async fn a_client_that_leaves_cancels_the_targets_work() {
    let (left, was_left) = tokio::sync::mpsc::unbounded_channel();
    let mut was_left = was_left;
    let target = Http2Target::answering(move |request| {
        let left = left.clone();
        Box::pin(async move {
            if request.uri().path() != "/slow" {
                return Response::new(full("well"));
            }
            let (sender, body) = growing();
            tokio::spawn(async move {
                sender.closed().await;
                let _ = left.send(());
            });
            Response::new(body)
        })
    });
    let proxy = behind(&target, "HTTP2");
    let client = Http2::connect(proxy.address()).await;
    let response = client.send(request("GET", "/slow", empty())).await.unwrap();
    drop(response);
    let heard = tokio::time::timeout(PATIENCE, was_left.recv()).await;
    assert_eq!(heard.unwrap(), Some(()));
    assert_eq!(client.get("/").await.0, 200, "the connection goes on");
    let records = proxy.log(2);
    assert!(
        records
            .iter()
            .any(|record| record["reason"] == "client_closed")
    );
}

#[tokio::test]
async fn a_silent_target_is_504_and_its_connection_is_left() {
    let target = Http2Target::answering(|request| {
        Box::pin(async move {
            if request.uri().path() == "/slow" {
                tokio::time::sleep(Duration::from_secs(60)).await;
            }
            Response::new(full("well"))
        })
    });
    let proxy = setup(&target, "HTTP2")
        .with("response_timeout = 0.3")
        .start();
    let client = Http2::connect(proxy.address()).await;
    assert_eq!(client.get("/").await.0, 200);
    let before = proxy.metric("new_connection_count_total{side=\"target\"}");
    assert_eq!(client.get("/slow").await.0, 504);
    assert_eq!(client.get("/").await.0, 200);
    let after = proxy.metric("new_connection_count_total{side=\"target\"}");
    assert_eq!(after, before + 1, "perhaps nobody is there any more");
}

#[tokio::test]
async fn a_target_of_http1_is_502() {
    let target = Target::answering(|_| ok("HTTP/1.1"));
    let well = Http2Target::saying("well");
    let proxy = Setup::to([target.address])
        .https()
        .group("protocol_version = 'HTTP2'")
        .group(&format!(
            "health_check = {{ port = {}, interval = 0.2 }}",
            well.address.port()
        ))
        .start();
    let client = Http2::connect(proxy.address()).await;
    assert_eq!(client.get("/").await.0, 502);
    assert_eq!(proxy.log_line()["reason"], "target_connection_failed");
}

/// A call that ends with so many fields, of so many bytes in all.
fn ends_with(fields: usize, bytes: usize) -> Http2Target {
    Http2Target::answering(move |_| {
        Box::pin(async move {
            let mut trailers = grpc_status("0");
            for nth in 0..fields {
                let name = http::HeaderName::try_from(format!("x-{nth:04}")).unwrap();
                let value = "y".repeat(bytes / fields - 10);
                trailers.insert(name, value.parse().unwrap());
            }
            let (sender, body) = growing_with_trailers(trailers);
            sender.send(Bytes::from("message")).await.unwrap();
            Response::builder()
                .header("content-type", "application/grpc")
                .body(body)
                .unwrap()
        })
    })
}

#[tokio::test]
async fn a_status_comes_with_as_much_as_a_head_may_have() {
    // A client takes 16 KiB, unless it says otherwise.
    let target = ends_with(50, 12 * 1024);
    let proxy = behind(&target, "GRPC");
    let client = Http2::connect(proxy.address()).await;
    let response = client.send(call("/a.B/C", full("x"))).await.unwrap();
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().unwrap();
    assert_eq!(trailers["grpc-status"], "0");
    assert_eq!(trailers.len(), 51);
    assert!(proxy.log_line()["reason"].is_null());
}

#[tokio::test]
async fn a_call_whose_status_is_too_large_has_no_end_in_order() {
    let target = ends_with(50, 40 * 1024);
    let proxy = behind(&target, "GRPC");
    let client = Http2::connect(proxy.address()).await;
    let response = client.send(call("/a.B/C", full("x"))).await.unwrap();
    assert_eq!(response.status(), 200);
    let error = response.into_body().collect().await.unwrap_err();
    let reason = std::error::Error::source(&error).unwrap();
    let reason = reason.downcast_ref::<h2::Error>().unwrap().reason();
    assert_eq!(reason, Some(h2::Reason::INTERNAL_ERROR));
    let record = proxy.log_line();
    assert_eq!(record["reason"], "target_response_incomplete");
    assert_eq!(client.get("/").await.0, 464, "the connection lives");
}
