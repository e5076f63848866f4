//! Lists: what a row says, and how long ones are given part by part.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_written_down_as_it_is_told_over_http() {
    let office = Office::open().await;
    let token = office.token_of("default").await;
    let mut device = office.device(&token, 1).await;
    device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    let mut author = Author::new(1, 1);
    device.send_message(push_message(1, author.entity, &[author.edit("a")])).await;
    device.until(|seen| matches!(seen, Seen::Receipt(..))).await;
    let told = office.list("/v1/sessions").await;
    assert_eq!((&told[0]["name"], &told[0]["spaces"][0]["lag"]), (&json!("a phone"), &json!(0)));
    // The list has the devices written down, and with them the sessions.
    let mut beside = DataFolder::existing(office.folder.path().to_owned()).unwrap().open_log().unwrap();
    let written = beside.sessions(&crate::log::accounts::SessionFilter::default()).unwrap();
    let written: Vec<_> = written.into_iter().map(crate::views::SessionView::from).collect();
    assert_eq!(serde_json::to_value(&written).unwrap(), told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_given_part_by_part_and_what_is_wrong_with_the_question_is_named() {
    let office = Office::open().await;
    for user in ["ada", "ben", "cyd"] {
        assert_eq!(office.ask("POST", "/v1/users", Some(json!({ "name": user }))).await.status, 201);
    }
    let mut devices = Vec::new();
    for number in 1..=3 {
        let token = office.token_of("ada").await;
        let mut device = office.device(&token, number).await;
        device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
        devices.push(device);
    }
    for (path, key, count) in [
        ("users", "name", 4),
        ("tokens", "number", 4),
        ("sessions", "id", 3),
        ("devices", "id", 3),
        ("spaces", "id", 1),
    ] {
        let all = office.list(&format!("/v1/{path}")).await;
        let mut told = Vec::new();
        let mut page = office.get(&format!("/v1/{path}?limit=1")).await;
        loop {
            told.push(page["rows"][0].clone());
            assert_eq!(page["rows"].as_array().unwrap().len(), 1, "{path}");
            let Some(next) = page["next"].as_str().map(str::to_owned) else { break };
            page = office.get(&format!("/v1/{path}?after={next}&limit=1")).await;
        }
        let keys = |rows: &[Value]| rows.iter().map(|row| row[key].clone()).collect::<Vec<_>>();
        assert_eq!(keys(&told), keys(all.as_array().unwrap()), "{path}");
        assert_eq!(told.len(), count, "{path}");
        for (query, named) in [
            ("limit=0", "limit"),
            ("limit=10001", "limit"),
            ("limit=many", "limit"),
            ("after=nowhere", "after"),
            ("page=2", "query"),
        ] {
            let answer = office.ask("GET", &format!("/v1/{path}?{query}"), None).await;
            let error = answer.json()["error"].as_str().unwrap().to_owned();
            assert!(answer.status == 400 && error.contains(named), "{path}?{query}: {} {error}", answer.status);
        }
        assert_eq!(office.ask("GET", &format!("/v1/{path}?limit=10000"), None).await.status, 200, "{path}");
    }
}
