//! A relay that lets nobody in without a token.

use super::Device;
use afield_relay::log::Token;
use afield_relay::log::accounts::{Accounts, NewToken};
use afield_relay::server::{DataFolder, Relay, RelayOptions, SystemClock, SystemEntropy};
use tokio::runtime::Runtime;

#[test]
fn without_the_right_token_it_is_said_what_helps_and_with_it_the_journal_is_in_step() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("relay");
    let [right, wrong] = [0; 2].map(|_| Token::new(&mut SystemEntropy));
    let may_create = NewToken { may_create: true, ..NewToken::default() };
    let mut log = DataFolder::create(data.clone()).unwrap().open_log().unwrap();
    log.create_token(&right, &may_create, SystemClock::start().now()).unwrap();
    drop(log);
    let runtime = Runtime::new().unwrap();
    let options = RelayOptions { listen: "127.0.0.1:0".parse().unwrap(), ..RelayOptions::new(data) };
    let relay = runtime.block_on(Relay::start(options)).unwrap();
    let mut anna = Device::open(&folder.path().join("anna.db"));
    let is_refused = |anna: &mut Device| {
        runtime.block_on(anna.comes_to_show("State         the relay wants a token"));
        anna.shows("Last error    the relay did not accept the token: sign in with another one");
        anna.shows("What helps    put a fresh token under Settings (6)");
    };

    anna.press(&format!("nTrip<Esc>6<Down><Down><Enter>{}<Enter>5c", relay.url()));
    is_refused(&mut anna);
    anna.press("6");
    anna.shows("Token       none");
    anna.press("5c");
    anna.hides("the relay wants a token");
    anna.hides("What helps");

    anna.press(&format!("6<Down><Enter>{}", wrong.reveal()));
    anna.shows("Token       •••");
    anna.hides(wrong.reveal());
    anna.press("<Enter>");
    anna.hides(wrong.reveal());
    anna.hides("none");
    anna.press("5c");
    is_refused(&mut anna);

    // With sync on, the next token is shown to the relay at once.
    anna.press(&format!("6<Enter>{}<Enter>5", right.reveal()));
    runtime.block_on(anna.comes_to_show("State         in step"));
    runtime.block_on(anna.comes_to_show("Waiting       nothing"));
    anna.shows("Last in step  20");
    anna.hides("Last error");
    anna.hides("What helps");
    anna.app.journal.replica.disconnect();
    runtime.block_on(relay.shutdown());
}
