//! All operations of the administration, and what each is asked.

use super::*;

/// What is asked of an operation.
pub(super) struct Asked {
    pub(super) path: String,
    pub(super) body: Value,
}

/// An operation of the document, asked for what is there and for what is not.
pub(super) struct Operation {
    /// Its method and its path, as they stand in the document.
    pub(super) name: &'static str,
    pub(super) there: Asked,
    /// What an administrator is answered.
    pub(super) status: u16,
    /// What is missing, and what the error says of it.
    pub(super) missing: Vec<(Asked, &'static str)>,
}

impl Operation {
    pub(super) fn method(&self) -> &'static str {
        self.name.split(' ').next().unwrap()
    }

    pub(super) fn template(&self) -> &'static str {
        self.name.split(' ').next_back().unwrap()
    }
}

impl Site {
    /// All operations, in an order in which each finds what it is about.
    pub(super) fn operations(&self) -> Vec<Operation> {
        let nobody = "there is no such user";
        let no_space = "there is no space";
        let at = |path: &str, body: Value| Asked { path: path.to_owned(), body };
        let none = || Value::Null;
        let operation = |name, there, status, missing| Operation { name, there, status, missing };
        let device = |number: u8| hello(number).device;
        let fresh = SpaceId::from_bytes([77; 16]);
        let members = |space: SpaceId| format!("/v1/spaces/{space}/members");
        let member = |space: SpaceId, user: &str| format!("/v1/spaces/{space}/members/{user}");
        let invitations = |space: SpaceId| format!("/v1/spaces/{space}/invitations");
        let of_device = |user: &str, number: u8| format!("/v1/devices/{user}/{}", device(number));
        let sign_out = |user: &str, number: u8| format!("/v1/devices/{user}/{}/sign-out", device(number));
        let (name, reader) = (json!({ "name": "a name" }), json!({ "role": "reader" }));
        let no_device = "the user has no device";
        vec![
            operation("GET /v1/overview", at("/v1/overview", none()), 200, vec![]),
            operation("GET /v1/users", at("/v1/users", none()), 200, vec![]),
            operation("POST /v1/users", at("/v1/users", json!({ "name": "fay" })), 201, vec![]),
            operation("GET /v1/tokens", at("/v1/tokens", none()), 200, vec![]),
            operation(
                "POST /v1/tokens",
                at("/v1/tokens", json!({ "user": "ada", "name": "another" })),
                201,
                vec![(at("/v1/tokens", json!({ "user": "nobody", "name": "another" })), nobody)],
            ),
            operation("GET /v1/spaces", at("/v1/spaces", none()), 200, vec![]),
            operation(
                "POST /v1/spaces",
                at("/v1/spaces", json!({ "space": fresh.to_string(), "owner": "ada" })),
                201,
                vec![(at("/v1/spaces", json!({ "space": NOWHERE.to_string(), "owner": "nobody" })), nobody)],
            ),
            operation(
                "GET /v1/spaces/{space}/members",
                at(&members(SPACE), none()),
                200,
                vec![(at(&members(NOWHERE), none()), no_space)],
            ),
            operation(
                "PUT /v1/spaces/{space}/members/{user}",
                at(&member(SPACE, "dan"), reader.clone()),
                200,
                vec![
                    (at(&member(NOWHERE, "dan"), reader.clone()), no_space),
                    (at(&member(SPACE, "nobody"), reader.clone()), nobody),
                ],
            ),
            operation(
                "DELETE /v1/spaces/{space}/members/{user}",
                at(&member(SPACE, "cyd"), none()),
                204,
                vec![
                    (at(&member(NOWHERE, "cyd"), none()), no_space),
                    (at(&member(SPACE, "nobody"), none()), nobody),
                    (at(&member(SPACE, "eve"), none()), "the user is not a member"),
                ],
            ),
            operation(
                "GET /v1/spaces/{space}/invitations",
                at(&invitations(SPACE), none()),
                200,
                vec![(at(&invitations(NOWHERE), none()), no_space)],
            ),
            operation(
                "POST /v1/spaces/{space}/invitations",
                at(&invitations(SPACE), reader.clone()),
                201,
                vec![(at(&invitations(NOWHERE), reader), no_space)],
            ),
            operation(
                "DELETE /v1/invitations/{number}",
                at(&format!("/v1/invitations/{}", self.invitation), none()),
                204,
                vec![(at("/v1/invitations/99", none()), "there is no invitation 99")],
            ),
            operation(
                "POST /v1/invitations/accept",
                at("/v1/invitations/accept", json!({ "user": "dan", "code": self.code })),
                200,
                vec![
                    (at("/v1/invitations/accept", json!({ "user": "nobody", "code": self.code })), nobody),
                    (
                        at("/v1/invitations/accept", json!({ "user": "dan", "code": "afield_wrong" })),
                        "the invitation is not good",
                    ),
                ],
            ),
            operation(
                "GET /v1/devices",
                at("/v1/devices?user=ada", none()),
                200,
                vec![(at("/v1/devices?user=nobody", none()), nobody)],
            ),
            operation(
                "PATCH /v1/devices/{user}/{device}",
                at(&of_device("ada", 1), name.clone()),
                204,
                vec![
                    (at(&of_device("nobody", 1), name.clone()), nobody),
                    (at(&of_device("ada", 77), name.clone()), no_device),
                    (at(&of_device("ada", 2), name), no_device),
                ],
            ),
            operation(
                "POST /v1/devices/{user}/{device}/sign-out",
                at(&sign_out("ben", 2), none()),
                200,
                vec![
                    (at(&sign_out("nobody", 2), none()), nobody),
                    (at(&sign_out("ben", 77), none()), no_device),
                    (at(&sign_out("ben", 1), none()), no_device),
                ],
            ),
            operation(
                "GET /v1/sessions",
                at("/v1/sessions?user=ada", none()),
                200,
                vec![
                    (at("/v1/sessions?user=nobody", none()), nobody),
                    (at(&format!("/v1/sessions?space={NOWHERE}"), none()), no_space),
                ],
            ),
            operation(
                "DELETE /v1/sessions/{session}",
                at(&format!("/v1/sessions/{}", self.session), none()),
                200,
                vec![(at(&format!("/v1/sessions/{}", "0".repeat(32)), none()), "there is no such session")],
            ),
            operation(
                "DELETE /v1/tokens/{number}",
                at(&format!("/v1/tokens/{}", self.token), none()),
                204,
                vec![(at("/v1/tokens/99", none()), "there is no token 99")],
            ),
            operation(
                "POST /v1/users/{name}/sign-out",
                at("/v1/users/ben/sign-out", none()),
                200,
                vec![(at("/v1/users/nobody/sign-out", none()), nobody)],
            ),
            operation(
                "PATCH /v1/users/{name}",
                at("/v1/users/dan", json!({ "disabled": true })),
                204,
                vec![(at("/v1/users/nobody", json!({ "disabled": true })), nobody)],
            ),
        ]
    }
}
