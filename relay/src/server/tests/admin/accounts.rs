//! Users, members, devices and sessions: what an administrator does, and what those hear of whom it is about.

use super::*;
use crate::log::{Authentication, Log, SeenDevice, TokenHash};
use afield_core::DeviceId;

#[tokio::test(flavor = "multi_thread")]
async fn a_team_is_made_and_everyone_gets_what_was_granted() {
    let office = Office::open().await;
    for user in ["ada", "ben"] {
        assert_eq!(office.ask("POST", "/v1/users", Some(json!({ "name": user }))).await.status, 201);
    }
    assert_eq!(office.ask("POST", "/v1/users", Some(json!({ "name": "ada" }))).await.status, 409);
    let (ada, ben) = (office.token_of("ada").await, office.token_of("ben").await);
    let mut hers = office.device(&ada, 1).await;
    hers.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    let mut author = Author::new(1, 1);
    let change = author.edit("hers");
    hers.send_message(push_message(1, author.entity, std::slice::from_ref(&change))).await;
    hers.until(|seen| matches!(seen, Seen::Receipt(..))).await;

    let mut his = office.device(&ben, 2).await;
    let refused = his.until(|seen| matches!(seen, Seen::Refused(_))).await;
    assert_eq!(refused.last(), Some(&Seen::Refused(wire::SpaceCode::UnknownOrForbidden)), "R6");

    let spaces = office.list("/v1/spaces").await;
    let space = spaces[0]["id"].as_str().unwrap().to_owned();
    assert_eq!((space.as_str(), &spaces[0]["members"]), (SPACE.to_string().as_str(), &json!(1)));
    let members = format!("/v1/spaces/{space}/members");
    let granted = office.ask("PUT", &format!("{members}/ben"), Some(json!({ "role": "reader" }))).await;
    assert_eq!(granted.json(), json!({ "space": space, "user": "ben", "role": "reader" }));
    his.send(open(SPACE, None)).await;
    let got = his.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    assert_eq!(foreign(&got), [change]);

    let order = json!({ "space": "0192f0c1-7a3e-7b6c-8d2e-5f4a3b2c1d0e", "owner": "ben" });
    let created = office.ask("POST", "/v1/spaces", Some(order.clone())).await;
    assert_eq!((created.status, &created.json()["role"]), (201, &json!("owner")), "without a device");
    assert_eq!(office.ask("POST", "/v1/spaces", Some(order)).await.status, 409, "there it is");

    let invitation =
        office.ask("POST", &format!("/v1/spaces/{space}/invitations"), Some(json!({ "role": "owner" }))).await;
    assert_eq!(invitation.status, 201);
    let code = invitation.json()["code"].as_str().unwrap().to_owned();
    let accept = json!({ "user": "ben", "code": code });
    assert_eq!(office.ask("POST", "/v1/invitations/accept", Some(accept.clone())).await.json()["role"], "owner");
    assert_eq!(office.ask("POST", "/v1/invitations/accept", Some(accept)).await.status, 404, "it is used");
    let invitations = office.list(&format!("/v1/spaces/{space}/invitations")).await;
    assert_eq!((&invitations[0]["used_by"], invitations.to_string().contains(&code)), (&json!("ben"), false));
    assert_eq!(office.ask("DELETE", "/v1/invitations/1", None).await.status, 404, "too late");
    assert_eq!(office.ask("DELETE", &format!("{members}/ada"), None).await.status, 204);
    let conflict = office.ask("DELETE", &format!("{members}/ben"), None).await;
    assert_eq!((conflict.status, &conflict.json()["code"]), (409, &json!("conflict")), "the last owner stays");
    assert_eq!(office.list(&members).await, json!([{ "user": "ben", "role": "owner", "disabled": false }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_seen_and_signed_out_and_the_device_learns_why() {
    let office = Office::open().await;
    office.ask("POST", "/v1/users", Some(json!({ "name": "ada" }))).await;
    let (phone, laptop) = (office.token_of("ada").await, office.token_of("ada").await);
    let (mut one, mut two) = (office.device(&phone, 1).await, office.device(&laptop, 2).await);
    for device in [&mut one, &mut two] {
        device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
    }
    let sessions = office.list("/v1/sessions").await;
    let sessions = sessions.as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    let first = sessions.iter().find(|session| session["device"] == hello(1).device.to_string()).unwrap();
    assert_eq!((&first["user"], &first["name"]), (&json!("ada"), &json!("a phone")));
    assert_eq!((&first["address"], &first["spaces"][0]["lag"]), (&json!("127.0.0.1"), &json!(0)));

    let path = format!("/v1/sessions/{}", first["id"].as_str().unwrap());
    let signed_out = office.ask("DELETE", &path, None).await;
    assert_eq!(signed_out.json(), json!({ "revoked_tokens": [2], "shared_tokens": [], "kept_tokens": [] }));
    assert_eq!(one.next().await, Some(Seen::Goodbye(GoodbyeCode::SignedOut)));
    assert_eq!(one.next().await, None);
    assert_eq!(office.ask("DELETE", &path, None).await.status, 404, "it is gone");
    let mut again = Device::try_connect(&office.relay.url(), Some(&phone), Vec::new()).await.unwrap();
    again.send(ToRelay::Hello(hello(1))).await;
    assert_eq!(again.next().await, Some(Seen::Goodbye(GoodbyeCode::SignedOut)));

    let devices = office.list("/v1/devices?user=ada").await;
    let state = |id: &str| {
        let device = devices.as_array().unwrap().iter().find(|device| device["id"] == id).unwrap();
        device["signed_out_ms"].is_i64()
    };
    assert!(state(&hello(1).device.to_string()) && !state(&hello(2).device.to_string()));
    let named = format!("/v1/devices/ada/{}", hello(2).device);
    assert_eq!(office.ask("PATCH", &named, Some(json!({ "name": "the laptop" }))).await.status, 204);
    assert_eq!(office.list("/v1/sessions").await[0]["name"], "the laptop");

    assert_eq!(office.ask("PATCH", "/v1/users/ada", Some(json!({ "disabled": true }))).await.status, 204);
    assert_eq!(two.next().await, Some(Seen::Goodbye(GoodbyeCode::AccountClosed)));
    assert_eq!(office.list("/v1/sessions").await, json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_signed_out_with_its_token_unless_that_is_to_be_kept_for_others() {
    let office = Office::open().await;
    office.ask("POST", "/v1/users", Some(json!({ "name": "ada" }))).await;
    let shared = office.token_of("ada").await;
    let mut devices = Vec::new();
    for number in 1..=4 {
        let mut device = office.device(&shared, number).await;
        device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
        devices.push(device);
    }
    let sign_out = |number: u8| format!("/v1/devices/ada/{}/sign-out", hello(number).device);
    let kept = json!({ "revoked_tokens": [], "shared_tokens": [], "kept_tokens": [2] });
    let told = office.ask("POST", &sign_out(1), Some(json!({ "keep_tokens": true }))).await;
    assert_eq!(told.json(), kept);
    let sessions = office.list("/v1/sessions").await;
    assert_eq!(sessions.as_array().unwrap().len(), 3, "the others go on");
    let id = sessions[0]["id"].as_str().unwrap();
    assert_eq!(office.ask("DELETE", &format!("/v1/sessions/{id}?keep_tokens=true"), None).await.json(), kept);
    assert_eq!(office.ask("POST", &sign_out(3), Some(json!({ "keep": true }))).await.status, 422, "no slip is taken");
    let told = office.ask("POST", &sign_out(3), None).await;
    assert_eq!(told.json(), json!({ "revoked_tokens": [2], "shared_tokens": [2], "kept_tokens": [] }));
    for device in &mut devices {
        assert_eq!(device.next().await, Some(Seen::Goodbye(GoodbyeCode::SignedOut)));
    }
    let mut invented = Device::try_connect(&office.relay.url(), Some(&shared), Vec::new()).await.unwrap();
    invented.send(ToRelay::Hello(hello(5))).await;
    assert_eq!(invented.next().await, Some(Seen::Goodbye(GoodbyeCode::SignedOut)), "under no other id either");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_device_that_was_forgotten_for_many_others_is_signed_out_all_the_same() {
    let office = Office::open().await;
    office.ask("POST", "/v1/users", Some(json!({ "name": "ada" }))).await;
    let (token, flooding) = (office.token_of("ada").await, office.token_of("ada").await);
    let mut devices = Vec::new();
    for number in 1..=3 {
        let mut device = office.device(&token, number).await;
        device.until(|seen| matches!(seen, Seen::CaughtUp(_))).await;
        devices.push(device);
    }
    let sessions = office.list("/v1/sessions").await;
    let mut log = DataFolder::existing(office.folder.path().to_owned()).unwrap().open_log().unwrap();
    let flooding = TokenHash::of(&flooding);
    let now = SystemClock::start().now();
    let Authentication::Good(principal) = log.authenticate(&flooding, hello(9).device, now).unwrap() else { panic!() };
    let flood: Vec<SeenDevice> = (0..1_001_u128)
        .map(|number| SeenDevice {
            user: principal.user,
            device: DeviceId::from_bytes((number << 64 | 1).to_be_bytes()),
            token: flooding,
            address: None,
            seen_wall_ms: now.wall_ms + 1_000,
        })
        .collect();
    log.note_devices(&flood).unwrap();
    let listed = office.list("/v1/devices?user=ada&limit=10000").await.to_string();
    for number in 1..=3 {
        assert!(!listed.contains(&hello(number).device.to_string()), "the control: it is forgotten");
    }
    let path = |number: u8| format!("/v1/devices/ada/{}", hello(number).device);
    let named = office.ask("PATCH", &path(1), Some(json!({ "name": "the first" }))).await;
    assert_eq!(named.status, 204, "{}", named.body);
    let kept = Some(json!({ "keep_tokens": true }));
    let signed_out = office.ask("POST", &format!("{}/sign-out", path(1)), kept).await;
    assert_eq!(signed_out.json()["kept_tokens"], json!([2]), "with the token that it has shown: {}", signed_out.body);
    let second = sessions.as_array().unwrap().iter().find(|one| one["device"] == hello(2).device.to_string()).unwrap();
    let signed_out = office.ask("DELETE", &format!("/v1/sessions/{}", second["id"].as_str().unwrap()), None).await;
    assert_eq!(signed_out.json()["revoked_tokens"], json!([2]), "{}", signed_out.body);
    for device in &mut devices {
        assert_eq!(device.next().await, Some(Seen::Goodbye(GoodbyeCode::SignedOut)));
    }
    let nobody = format!("{}/sign-out", path(77));
    assert_eq!(office.ask("POST", &nobody, None).await.status, 404, "the control: one that never was");
}
