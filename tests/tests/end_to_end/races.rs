//! Many at once: one code of each kind in up to 32 processes (`kinds`, in an `arena`; `peers` is the same with other
//! modules), 32 users with a code each, and a flood of wrong codes from elsewhere beside the owner's right one.

mod arena;
mod kinds;
mod peers;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use pam_totp_tests::{House, Pam, Phone, Plan};

use self::arena::{Arena, MOST};
use crate::{CODE, NEXT};

#[test]
fn of_32_users_with_their_own_codes_all_are_let_in() {
    let people: Vec<String> = (0..MOST).map(|n| format!("user{n}")).collect();
    let house = House::from_plan(&Plan { people: people.clone(), ..Plan::default() });
    let phones: Vec<Phone> = people.iter().map(|user| house.enroll(user)).collect();
    let mut arena = Arena::in_house(&house);
    // One step after the other, so that each is above the floor of the one before; none that ends with this step, while 32 are
    // on their way.
    for step in 0..=1 {
        let codes: Vec<String> = phones.iter().map(|phone| phone.in_steps(step)).collect();
        let each: Vec<(&str, &str)> =
            people.iter().zip(&codes).map(|(user, code)| (user.as_str(), code.as_str())).collect();
        assert_eq!(arena.race("code", &each), vec![Pam::Success; MOST]);
    }
}

/// Wrong codes for alice from ever new addresses, as fast as two processes can, while `owner` runs; gives
/// how many were tried.
fn under_a_flood(house: &House, phone: &Phone, owner: impl FnOnce(&AtomicU32)) -> u32 {
    let wrong: Vec<String> = (0..20).map(|n| phone.wrong(n)).collect();
    let tried = AtomicU32::new(0);
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for attacker in 0..2u32 {
            let (wrong, tried, over) = (&wrong, &tried, &over);
            scope.spawn(move || {
                let mut application = house.application();
                let mut n = 0u32;
                while !over.load(Ordering::Relaxed) {
                    n += 1;
                    let from = format!("203.{attacker}.{}.{}", n / 250 % 250, n % 250 + 1);
                    let mut login = application.login("code", "alice");
                    let code = &wrong[n as usize % wrong.len()];
                    let next = &wrong[(n as usize + 1) % wrong.len()];
                    let outcome = login.from(&from).authenticate([code, next]);
                    assert_eq!(outcome.code, Pam::AuthErr);
                    assert_eq!(outcome.prompts(), [CODE, NEXT]);
                    tried.fetch_add(2, Ordering::Relaxed);
                }
            });
        }
        // The flood ends when the owner is done, one way or the other.
        let end = EndOfFlood(&over);
        owner(&tried);
        drop(end);
    });
    tried.load(Ordering::Relaxed)
}

struct EndOfFlood<'a>(&'a AtomicBool);

impl Drop for EndOfFlood<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn wait_for(tried: &AtomicU32, wanted: u32) {
    let before = tried.load(Ordering::Relaxed);
    while tried.load(Ordering::Relaxed) < before + wanted {
        thread::yield_now();
    }
}

#[test]
fn a_flood_of_wrong_codes_never_keeps_the_owner_out_where_he_is_known() {
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    assert_eq!(login.from("198.51.100.7").authenticate([phone.now()].iter()).code, Pam::Success);
    drop(login);
    under_a_flood(&house, &phone, |tried| {
        // Far more than the budget for strangers: 75 codes at once.
        wait_for(tried, 400);
        let mut login = application.login("code", "alice");
        // One code is still enough from where he has been.
        let outcome = login.from("198.51.100.7").authenticate([phone.in_steps(1)].iter());
        assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    });
}

#[test]
fn a_flood_of_wrong_codes_never_keeps_the_owner_out_where_he_is_new() {
    let house = House::build();
    let phone = house.enroll("alice");
    let mut application = house.application();
    under_a_flood(&house, &phone, |tried| {
        wait_for(tried, 400);
        // One code isn't enough any more, and the second prompt asks for the other.
        let mut login = application.login("code", "alice");
        let pair = [phone.in_steps(1), phone.in_steps(2)];
        let outcome = login.from("198.51.100.7").authenticate(pair.iter());
        assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
        drop(login);
        // Typed in one answer, the same.
        let mut login = application.login("code", "alice");
        let pair = phone.pair_in_steps(3);
        let outcome = login.from("198.51.100.99").authenticate([&pair]);
        assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    });
    assert_eq!(house.admin_json(&["show", "alice", "--json"])["codes_required"], 2);
    // Told once a day, however many came.
    assert_eq!(house.events(), ["enrolled", "more-codes-required"]);
}
