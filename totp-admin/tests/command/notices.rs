//! `notices`: what waits for a user, and saying that it was read.

use serde_json::Value;

use crate::support::{House, OTHER, USER};

fn waiting(house: &House) -> Value {
    house.run(&["notices", USER, "--json"]).done().json()
}

#[test]
fn notices_are_listed_with_what_is_known_of_them() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house.run(&["disable", USER, "--yes", "--reason", "a b; reboot"]).done();
    let document = waiting(&house);
    let last = document["notices"].as_array().unwrap().last().unwrap().clone();
    assert_eq!((&last["event"], &last["reason"]), (&"disabled".into(), &"a b; reboot".into()));
    assert_eq!((&last["first_shown"], &document["more"]), (&Value::Null, &0.into()));
    let by = last["by"].as_str().unwrap();
    let text = house.run(&["notices", USER]).done().out;
    assert!(text.contains(&format!("second factor switched off by {by}")), "{text}");
    assert!(text.ends_with("(a b; reboot); not shown yet\n"), "{text}");
}

#[test]
fn what_was_read_is_listed_once_more_and_then_no_more() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let (listed, records) = (waiting(&house), house.record().len());
    let read = house.run(&["notices", USER, "--read", "--json"]).done().json();
    assert_eq!((&read["notices"], &read["read"]), (&listed["notices"], &true.into()));
    assert_eq!(waiting(&house)["notices"], Value::Array(vec![]));
    let again = house.run(&["notices", USER, "--read"]).done();
    assert!(
        again.out.is_empty() && again.err.contains("No login notice waits for"),
        "{}",
        again.err
    );
    assert_eq!(house.record().len(), records, "no change is recorded");
    // What is added later is shown again, and what was read is not added again.
    house.run(&["recovery-codes", USER, "--json"]);
    house.run(&["disable", USER, "--yes"]).done();
    let events = waiting(&house)["notices"].as_array().unwrap().clone();
    assert!(!events.iter().any(|one| one["event"] == "enrolled"), "{events:?}");
    assert!(events.iter().any(|one| one["event"] == "disabled"), "{events:?}");
}

#[test]
fn a_user_of_whom_nothing_is_known_is_an_error_and_one_without_notices_is_none() {
    let Some(house) = House::new("") else { return };
    house
        .run(&["notices", "no;body"])
        .refused(&["there is no user no;body", "Look at the spelling"]);
    house.run(&["notices"]).wrong_usage();
    let none = house.run(&["notices", OTHER]).done();
    assert!(none.out.is_empty() && none.err.contains("No login notice waits for"), "{}", none.err);
}
