//! What the indexes of the old part answer where one of them, or what they point at, has decayed.

use super::damage::office_with;
use super::numbers::flip_number;
use super::*;

#[test]
fn a_change_of_a_segment_that_is_lost_is_neither_taken_twice_nor_called_forked() {
    for (table, is_covered) in [("segments", false), ("segment_hashes", false), ("segments", true)] {
        let (mut desk, pushed) = office_with(is_covered, is_covered);
        let sequences: Vec<_> = desk.push(pushed.clone()).iter().map(sequence).collect();
        let whole = desk.log.snapshot().unwrap();
        for bit in [0, 1, 4, 33] {
            desk.log.restore(&whole).unwrap();
            assert!(flip_number(&desk, (table, "last", 3), 2, bit));
            let case = format!("bit {bit} of the last of {table}, covered: {is_covered}");
            let verdicts = desk.push(pushed.clone());
            let known = verdicts.iter().zip(&sequences).filter(|(verdict, known)| sequence(verdict) == **known).count();
            let refused = verdicts.iter().filter_map(code).collect::<Vec<_>>();
            assert_eq!(known + refused.len(), pushed.len(), "{case}: R5, {verdicts:?}");
            let is_kept = |code: &ChunkCode| matches!(code, ChunkCode::Unavailable | ChunkCode::Blocked);
            assert!(!refused.is_empty() && refused.iter().all(is_kept), "{case}: {refused:?}");
        }
        desk.log.restore(&whole).unwrap();
        assert_eq!(desk.push(pushed).iter().map(sequence).collect::<Vec<_>>(), sequences, "the control");
    }
}

#[test]
fn what_rests_on_a_change_of_a_segment_that_is_lost_waits_for_it() {
    for bit in [1, 33] {
        let mut desk = Desk::new();
        let mut anna = Author::new(1, 1);
        desk.push(anna.chunks(20));
        desk.pack();
        let next = anna.fork(2).chunk("rests on the last of them");
        let whole = desk.log.snapshot().unwrap();
        assert!(flip_number(&desk, ("segments", "last", 1), 0, bit));
        assert_eq!(code(&desk.push(vec![next.clone()])[0]), Some(ChunkCode::Unavailable), "bit {bit}");
        desk.log.restore(&whole).unwrap();
        assert!(is_stored(&desk.push(vec![next])[0]), "the control");
    }
}

#[test]
fn a_change_of_a_segment_is_known_whatever_its_entity_says_of_how_many_there_are() {
    let mut desk = Desk::new();
    let chunks = Author::new(1, 1).chunks(16);
    let sequences: Vec<_> = desk.push(chunks.clone()).iter().map(sequence).collect();
    desk.pack();
    assert_eq!(desk.log.connection.execute("UPDATE entities SET archived = archived & ~16", []), Ok(1));
    assert_eq!(desk.push(chunks).iter().map(sequence).collect::<Vec<_>>(), sequences, "R5, nothing twice");
}

#[test]
fn a_page_hides_no_chunk_where_a_run_points_to_another_segment() {
    for flipped in [false, true] {
        let mut desk = Desk::new();
        let mut author = Author::new(1, 1);
        for count in [16, 8] {
            desk.push(author.chunks(count));
            desk.pack();
        }
        if flipped {
            let sql = "UPDATE actor_runs SET segment = segment | 8 WHERE segment & 0xff = 16";
            assert_eq!(desk.log.connection.execute(sql, []), Ok(1));
        }
        let filter = Filter::nothing().entities([EntityId::from_bytes([1; 16])]);
        for takes_snapshots in [false, true] {
            assert_eq!(paged(&mut desk, &filter, 0, usize::MAX, takes_snapshots).changes.len(), 24, "R9, {flipped}");
        }
    }
}

#[test]
fn a_page_of_a_segment_that_is_lost_says_so() {
    let mut desk = Desk::new();
    let mut author = Author::new(1, 1);
    for _ in 0..2 {
        desk.push(author.chunks(16));
        desk.pack();
    }
    desk.push(author.chunks(3));
    let filter = Filter::nothing().entities([EntityId::from_bytes([1; 16])]);
    assert_eq!(paged(&mut desk, &filter, 0, usize::MAX, false).changes.len(), 35, "the control");
    assert!(flip_number(&desk, ("segments", "last", 2), 1, 33));
    let spoil = "UPDATE actor_runs SET first = first + 1 WHERE first = 1";
    for sql in ["", spoil] {
        desk.log.connection.execute_batch(sql).unwrap();
        let request = page_request(&desk, &filter, Sequence::ZERO, usize::MAX, false);
        assert!(desk.log.page(desk.principal, &request, at(0)).is_err_and(|error| error.is_damage()), "R9 {sql}");
    }
}

#[test]
fn an_honest_change_is_no_fork_where_a_run_has_decayed() {
    for is_covered in [false, true] {
        for (sql, is_other) in [
            ("", false),
            ("", true),
            ("UPDATE actor_runs SET last = last | 64", false),
            ("UPDATE actor_runs SET actor = 2", true),
        ] {
            let mut desk = Desk::new();
            let mut anna = Author::new(1, 1);
            desk.push(anna.chunks(20));
            if is_covered {
                desk.compact();
            } else {
                desk.pack();
            }
            let mut ben = anna.fork(2);
            desk.push(ben.chunks(1));
            desk.log.connection.execute_batch(sql).unwrap();
            let next = if is_other { ben.chunk("ben's next") } else { anna.chunk("anna's next") };
            assert!(is_stored(&desk.push(vec![next])[0]), "covered: {is_covered}, {sql}");
            if !is_other {
                let fork = Author::new(1, 1).chunk("another first change");
                assert_eq!(code(&desk.push(vec![fork])[0]), Some(ChunkCode::ActorForked), "the control: {sql}");
            }
        }
    }
}

#[test]
fn changes_of_segments_that_are_pushed_again_have_no_body_decoded() {
    for step in ["packed", "its flags have decayed", "a body has decayed"] {
        let mut desk = Desk::new();
        let (mut anna, mut ben) = (Author::new(1, 1), Author::new(2, 2));
        let mut pushed = Vec::new();
        for _ in 0..3 {
            let chunks = [anna.chunks(8), ben.chunks(8)].concat();
            desk.push(chunks.clone());
            pushed.extend(chunks);
            desk.pack();
        }
        // One of two entities leaves the bodies: what stays in them is known all the same.
        let (_, snapshot, strip) = desk.log.whole_tasks(desk.space).unwrap().unwrap().entities[0];
        desk.finish(snapshot.whatever_it_saves());
        desk.finish(strip);
        let sql = match step {
            "packed" => "",
            "a body has decayed" => "UPDATE segments SET body = zeroblob(9) WHERE last & 0xff = 16",
            _ => "UPDATE segments SET held = x'ffff' WHERE last & 0xff = 16",
        };
        desk.log.connection.execute_batch(sql).unwrap();
        let mut desk = opened_again(desk);
        let verdicts = desk.push(pushed.clone());
        let known = (1..).zip(&verdicts).all(|(number, verdict)| {
            matches!(verdict, ChunkVerdict::Duplicate { .. }) && sequence(verdict) == Some(number)
        });
        assert!(known, "{step}: {verdicts:?}");
        assert_eq!(desk.log.cache.segments(), usize::from(step != "packed"), "{step}");
        let start = desk.start();
        let entries = desk.all_after(start, usize::MAX);
        assert!(entries.len() == 48 && entries.iter().all(LogEntry::is_intact), "{step}: R5, a duplicate is readable");
        assert_eq!(desk.log.cache.segments(), 3, "the control");
    }
}

#[test]
fn what_the_index_has_of_a_change_is_another_thing_in_every_file() {
    let prefixes = |desk: &Desk| -> Vec<i64> {
        let mut statement =
            desk.log.connection.prepare("SELECT prefix FROM change_prefixes ORDER BY position").unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    let desks = [(); 2].map(|()| {
        let mut desk = Desk::new();
        desk.push(Author::new(1, 1).chunks(20));
        desk.pack();
        desk
    });
    let [one, other] = desks.each_ref().map(prefixes);
    assert!(one.len() == 20 && other.len() == 20);
    assert!(one.iter().all(|prefix| !other.contains(prefix)), "nobody can look for one at home");
    let [mut desk, _] = desks;
    let whole = desk.log.snapshot().unwrap();
    for copy in ["secret", "second_secret", "third_secret"] {
        desk.log.restore(&whole).unwrap();
        let sql = format!("UPDATE file SET {copy} = zeroblob(32)");
        assert_eq!(desk.log.connection.execute(&sql, []), Ok(1));
        // Nothing but the index of changes knows them.
        assert_eq!(desk.log.connection.execute("DELETE FROM actor_runs", []), Ok(1));
        let verdicts = desk.push(Author::new(1, 1).chunks(20));
        assert!(verdicts.iter().all(|verdict| matches!(verdict, ChunkVerdict::Duplicate { .. })), "copy {copy}");
    }
}

#[test]
fn a_wrong_count_of_an_entity_is_put_right_by_who_reads_it() {
    for (sql, expected) in [
        ("UPDATE entities SET archived = archived | 1024", 16),
        ("UPDATE entities SET archived = 0", 16),
        ("UPDATE entities SET archived = 7; UPDATE actor_runs SET first = first + 3", 7),
    ] {
        let mut desk = Desk::new();
        desk.push(Author::new(1, 1).chunks(16));
        desk.pack();
        desk.log.connection.execute_batch(sql).unwrap();
        let filter = Filter::nothing().entities([EntityId::from_bytes([1; 16])]);
        assert_eq!(paged(&mut desk, &filter, 0, usize::MAX, false).changes.len(), 16);
        let count: i64 = desk.log.connection.query_row("SELECT archived FROM entities", [], |row| row.get(0)).unwrap();
        assert_eq!(count, expected, "{sql}");
    }
}
