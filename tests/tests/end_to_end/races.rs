//! Many at once: one code in 32 processes, 32 users with a code each, and a flood of wrong codes from
//! elsewhere beside the owner's right one.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;

use pam_totp_tests::{Application, House, Login, Outcome, Pam, Phone, Plan};

use crate::{CODE, NEXT};

const PROCESSES: usize = 32;
const ROUNDS: usize = 200;

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

fn house_with(people: Vec<String>) -> House {
    House::from_plan(&Plan { people, ..Plan::default() })
}

/// Brings a login of the service `code` to its first prompt.
fn at_the_prompt<'a>(application: &'a mut Application, user: &str) -> Login<'a> {
    let mut login = application.login("code", user);
    assert_eq!(login.begin("auth 0").hear().prompt(), Some(CODE));
    login
}

/// Hears a login that was given its code to the end, giving up at the second prompt.
fn result(mut login: Login<'_>) -> Pam {
    let outcome: Outcome = login.rest([] as [&str; 0]);
    outcome.code
}

#[test]
fn of_32_processes_with_one_code_exactly_one_is_let_in() {
    let users = names("user", ROUNDS);
    let house = house_with(users.clone());
    let mut applications: Vec<Application> = (0..PROCESSES).map(|_| house.application()).collect();
    for (round, user) in users.iter().enumerate() {
        let phone = house.enroll(user);
        let mut logins: Vec<Login<'_>> =
            applications.iter_mut().map(|application| at_the_prompt(application, user)).collect();
        let code = phone.now();
        for login in &mut logins {
            login.answer(&code);
        }
        let results: Vec<Pam> = logins.into_iter().map(result).collect();
        let let_in = results.iter().filter(|&&code| code == Pam::Success).count();
        assert_eq!(let_in, 1, "round {round}: {results:?}");
    }
}

#[test]
fn of_32_users_with_their_own_codes_all_are_let_in() {
    let users = names("user", PROCESSES);
    let house = house_with(users.clone());
    let phones: Vec<Phone> = users.iter().map(|user| house.enroll(user)).collect();
    let mut applications: Vec<Application> = users.iter().map(|_| house.application()).collect();
    let mut logins: Vec<Login<'_>> =
        applications.iter_mut().zip(&users).map(|(app, user)| at_the_prompt(app, user)).collect();
    let codes: Vec<String> = phones.iter().map(Phone::now).collect();
    for (login, code) in logins.iter_mut().zip(&codes) {
        login.answer(code);
    }
    let results: Vec<Pam> = logins.into_iter().map(result).collect();
    assert_eq!(results, vec![Pam::Success; PROCESSES]);
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
        let pair = [format!("{} {}", phone.in_steps(3), phone.in_steps(4))];
        let outcome = login.from("198.51.100.99").authenticate(pair.iter());
        assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    });
    assert_eq!(house.admin_json(&["show", "alice", "--json"])["codes_required"], 2);
    // Told once a day, however many came.
    assert_eq!(house.events(), ["enrolled", "more-codes-required"]);
}
