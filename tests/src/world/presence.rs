//! Who is here in a simulated world: what is shown passes beside everything else and disturbs none of it.

use super::{Device, Random, World};

impl World {
    /// Lets a device show something in the space or in one of its entities, or take it back.
    pub fn show_something(&mut self, device: Device, random: &mut Random) {
        let (space, entities) = (self.space, self.made());
        let Some(driver) = self.driver(device) else { return };
        let party = driver.join_presence(space);
        let place = entities.get(random.below(entities.len().max(1))).copied().filter(|_| random.chance(500));
        driver.show_presence(space, place, party, random.below(1_000).to_string().into_bytes());
        if random.chance(300) {
            driver.leave_presence(space, party);
        }
        self.count("something shown to those who are here");
        self.wake(device);
    }
}
