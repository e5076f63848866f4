//! The guide on the crate's front page: what it leads through, and in which order.

use afield::Trigger;

/// What each part begins with, in the order of what app developers are promised.
const APP: [&str; 19] = [
    "Open a file.",
    "Typed entities.",
    "Queries",
    "Sync",
    "Three views of one entity",
    "Handles",
    "Several entities at once",
    "A backup",
    "A restored copy.",
    "What is too large",
    "Durable.",
    "Adding a field",
    "Shapes that move.",
    "Errors",
    "Bad input",
    "The past.",
    "Deleting",
    "In and out",
    "Who is here",
];
const SYNC: [&str; 17] = [
    "One entry.",
    "Every reason",
    "\"Sync now\" rests",
    "Schedules",
    "Maintenance",
    "A token that ends",
    "What an interface needs",
    "Events",
    "The history of runs",
    "Which way changes go",
    "Conflicts",
    "Strategies",
    "A dry run",
    "A guard",
    "A relay that is sick or away",
    "What is kept here",
    "Trying it on one machine",
];

/// Words that stand in the guide because the face has them: without one of them an app developer would have to find it alone.
const WORDS: [&str; 29] = [
    "Replica::maintain",
    "CoolDown",
    "`disabled`",
    "`idle`",
    "`syncing`",
    "`offline`",
    "`blocked`",
    "`needs_sign_in`",
    "`error`",
    "sync.request",
    "sync.started",
    "sync.progress",
    "sync.blocked",
    "sync.completed",
    "sync.failed",
    "Direction::Both",
    "Direction::PushOnly",
    "Direction::PullOnly",
    "Direction::LocalOnly",
    "`Merge`",
    "Strategy::Newest",
    "Strategy::PreferThis",
    "Strategy::PreferOther",
    "Strategy::Manual",
    "Durability::Local",
    "Durability::Relay",
    "Durability::AnotherDevice",
    "Space::set_guard",
    "Replica::sandbox",
];

/// What the parts of a page begin with, and whether each but the last shows what it says by code.
fn parts(page: &str) -> Vec<(&str, bool)> {
    let begun = page.split("\n**").skip(1);
    begun.map(|part| (part.split_once("**").expect("it ends").0, part.contains("\n```\n"))).collect()
}

#[test]
fn the_guide_leads_through_everything_in_the_order_of_what_is_promised() {
    let pages = [(include_str!("../../src/guide/app.md"), &APP[..]), (include_str!("../../src/guide/sync.md"), &SYNC)];
    for (page, expected) in pages {
        let parts = parts(page);
        let names: Vec<_> = parts.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, expected);
        let without: Vec<_> = parts.iter().filter(|(_, shows)| !shows).map(|(name, _)| *name).collect();
        assert!(without.iter().all(|name| *name == "Trying it on one machine"), "{without:?} show nothing");
    }
}

#[test]
fn every_block_of_the_guide_runs() {
    for page in [include_str!("../../src/guide/app.md"), include_str!("../../src/guide/sync.md")] {
        let fences: Vec<_> = page.lines().filter(|line| line.starts_with("```")).collect();
        assert!(fences.len() > 20 && fences.iter().all(|fence| *fence == "```"), "{fences:?}");
        let blocks = page.split("\n```\n").skip(1).step_by(2);
        for block in blocks {
            let asserts = ["assert", "is_a_handle::<", "panic!"].iter().any(|word| block.contains(word));
            assert!(asserts, "it shows nothing: {block}");
        }
    }
}

#[test]
fn the_guide_names_every_trigger_state_event_direction_and_strategy() {
    let guide = [include_str!("../../src/guide/app.md"), include_str!("../../src/guide/sync.md")].concat();
    let of_triggers = Trigger::one_of_each().into_iter().map(|trigger| format!("`{}`", in_code(&trigger)));
    let words = WORDS.iter().map(|word| (*word).to_owned()).chain(of_triggers);
    let lacking: Vec<_> = words.filter(|word| !guide.contains(word)).collect();
    assert!(lacking.is_empty(), "{lacking:?}");
}

/// What an app writes for a trigger.
fn in_code(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Push { .. } => "Trigger::push".to_owned(),
        plain => format!("Trigger::{plain:?}"),
    }
}
