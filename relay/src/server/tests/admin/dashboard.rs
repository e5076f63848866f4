//! The overview, and the page that shows it.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn an_overview_says_how_the_relay_is_and_what_happened_last() {
    let office = Office::open().await;
    office.ask("POST", "/v1/users", Some(json!({ "name": "ada" }))).await;
    let (phone, laptop) = (office.token_of("ada").await, office.token_of("ada").await);
    let mut one = office.device(&phone, 1).await;
    one.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    let mut author = Author::new(1, 1);
    let change = author.edit("secret content");
    one.send_message(push_message(1, author.entity, &[change, vec![7; 9]])).await;
    one.until(|seen| matches!(seen, Seen::Receipt(..))).await;
    let mut two = office.device(&laptop, 2).await;
    two.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    let mut stranger = Device::try_connect(&office.relay.url(), Some("afield_guess"), Vec::new()).await.unwrap();
    stranger.send(ToRelay::Hello(hello(3))).await;
    assert_eq!(stranger.next().await, Some(Seen::Goodbye(GoodbyeCode::Unauthorized)));

    let overview = office.get("/v1/overview").await;
    assert_eq!((&overview["version"], &overview["protocol"]), (&json!(env!("CARGO_PKG_VERSION")), &json!(1)));
    assert_eq!((&overview["ready"], &overview["not_ready_because"]), (&json!(true), &Value::Null));
    assert_eq!((&overview["now"]["sessions"], &overview["open_access"]), (&json!(2), &json!(false)));
    assert!(overview["now"]["connections"].as_u64() >= Some(2) && overview["now"]["log_bytes"].as_u64() > Some(0));
    let total = &overview["total"];
    assert_eq!((&total["sessions_begun"], &total["chunks_stored"]), (&json!(2), &json!(1)));
    assert_eq!(total["sessions_ended"], json!({ "Unauthorized": 1 }));
    assert_eq!(total["chunks_refused"], json!({ "Malformed": 1 }));
    assert_eq!(overview["limits"]["space_bytes"], json!(Quotas::SPACE_BYTES_MAX));
    assert!(overview["limits"]["connections"].as_u64() > Some(0));

    assert_eq!(office.ask("DELETE", "/v1/tokens/2", None).await.status, 204);
    one.until(|seen| *seen == Seen::Goodbye(GoodbyeCode::SignedOut)).await;
    drop(two);
    let kinds = |overview: &Value| -> Vec<String> {
        let events = overview["events"].as_array().unwrap();
        events.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect()
    };
    let deadline = std::time::Instant::now() + PATIENCE;
    let overview = loop {
        let overview = office.get("/v1/overview").await;
        if kinds(&overview).first().is_some_and(|kind| kind == "left") {
            break overview;
        }
        assert!(std::time::Instant::now() < deadline, "{overview}");
    };
    let expected = ["left", "token_revoked", "ended", "turned_away", "signed_in", "chunk_refused", "signed_in"];
    assert_eq!(kinds(&overview), expected, "newest first");
    let (left, revoked, ended) = (&overview["events"][0], &overview["events"][1], &overview["events"][2]);
    assert_eq!((&left["user"], &left["address"]), (&json!("ada"), &json!("127.0.0.1")));
    assert_eq!((&left["device"], &revoked["token"]), (&json!(hello(2).device.to_string()), &json!(2)));
    assert_eq!(ended["because"], "this device was signed out");
    assert!(overview["events"].as_array().unwrap().iter().all(|event| event["at_ms"].as_i64() > Some(0)));
    for secret in ["secret content", &phone, &laptop, &office.admin, "afield_guess"] {
        assert!(!overview.to_string().contains(secret), "S6: {secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_needs_no_token_holds_no_data_and_loads_nothing_from_elsewhere() {
    let office = Office::open().await;
    let mut page = String::new();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/dashboard.js", "text/javascript; charset=utf-8"),
        ("/boards.js", "text/javascript; charset=utf-8"),
        ("/people.js", "text/javascript; charset=utf-8"),
        ("/tables.js", "text/javascript; charset=utf-8"),
        ("/words.js", "text/javascript; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let answer = office.ask_as(None, "GET", path, None).await;
        assert_eq!(answer.status, 200, "{path}");
        for header in [
            &format!("content-type: {kind}\r\n"),
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self';",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
        ] {
            assert!(answer.head.contains(header), "{path}: {header} in {}", answer.head);
        }
        if path != "/icon.svg" {
            assert!(!answer.body.contains("//www.") && !answer.body.contains("https:"), "{path} names another place");
        }
        if path == "/" {
            page = answer.body;
        } else {
            let name = path.trim_start_matches('/');
            let imported = ["dashboard.js", "boards.js"].map(|file| {
                let text = std::fs::read_to_string(format!("{}/dashboard/{file}", env!("CARGO_MANIFEST_DIR")));
                text.unwrap().contains(&format!("\"./{name}\""))
            });
            assert!(page.contains(&format!("\"{name}\"")) || imported.contains(&true), "nothing asks for {path}");
        }
        assert_eq!(office.ask_as(None, "POST", path, Some("{}")).await.status, 405, "{path}");
    }
    for inline in ["<script>", "<style", " style=", " onclick=", " onload=", "javascript:"] {
        assert!(!page.contains(inline), "{inline}");
    }
    let answer = office.ask("GET", "/v1/users", None).await;
    assert!(answer.head.contains("cache-control: no-store"), "{}", answer.head);
}
