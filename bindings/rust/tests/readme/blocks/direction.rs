use afield::{Direction, Space};

fn direct(shop: &Space) -> Result<(), Box<dyn std::error::Error>> {
    shop.set_direction("prices", Direction::PullOnly)?; // the relay is right: what is tried out here stays here (`held_back`)
    shop.set_direction("takings", Direction::PushOnly)?; // this device is right
    shop.set_direction("drafts", Direction::LocalOnly)?; // not even an id leaves
    Ok(())
}
