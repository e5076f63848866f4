use afield::{Replica, Schedule, Space, Trigger};

fn plan(replica: &Replica, home: &Space) -> Result<(), Box<dyn std::error::Error>> {
    home.set_schedule(Some(Schedule::cron("30 7 * * MON-FRI", "Europe/Berlin")?))?; // or every(interval)
    let decision = replica.request(Trigger::push("notification 17"))?;              // start, skip or block, with the reason
    println!("{decision:?}");
    replica.explain()?.iter().for_each(|space| print!("{space}"));                  // the last decisions, and what is next
    Ok(())
}
