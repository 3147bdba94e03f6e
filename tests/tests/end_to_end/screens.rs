//! The QR code as the terminal shows it: scanned from the screen, it carries the key of the record, and
//! what was scanned logs in.

use pam_totp_tests::{House, Pam, Phone, Screen, Theme};

fn secret_of(uri: &str) -> &str {
    let query =
        uri.strip_prefix("otpauth://totp/").and_then(|rest| rest.split_once('?')).unwrap().1;
    query.split('&').find_map(|pair| pair.strip_prefix("secret=")).unwrap()
}

#[test]
fn what_the_screen_shows_can_be_scanned_switched_on_and_logs_in() {
    // Half blocks fit everywhere; two characters a module need more room.
    for (style, size) in [("utf8", (80, 24)), ("ascii", (80, 50))] {
        let house = House::build();
        let command = format!("totp-admin enroll alice --qr {style}");
        let screen = Screen::open_sized(&house, size, &command);
        let shown = screen.expect("Code in the app");
        let uri = screen.qr_code(Theme::Dark);
        assert_eq!(uri, screen.qr_code(Theme::Light), "dark on light in every terminal");
        let secret = secret_of(&uri);
        // The key to type in, in groups, is the same.
        let groups: Vec<&str> =
            secret.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap()).collect();
        assert!(shown.contains(&groups.join(" ")), "{shown}");

        let phone = Phone::new(secret);
        screen.type_line(&phone.now());
        let _ = screen.expect("over: 0");
        let record =
            std::fs::read_to_string(house.path("/var/lib/pam-totp/users/alice.toml")).unwrap();
        assert!(record.contains(secret), "{record}");
        let outcome = house.application().login("code", "alice").authenticate([&phone.in_steps(1)]);
        assert_eq!(outcome.code, Pam::Success, "{outcome:?}");
    }
}

#[test]
fn where_a_qr_code_has_no_room_the_key_is_shown_and_said_why() {
    let house = House::build();
    let screen = Screen::open_sized(&house, (60, 16), "totp-admin enroll alice");
    let shown = screen.expect("Code in the app");
    assert!(shown.contains("No QR code"), "{shown}");
    assert!(shown.contains("type this key: "), "{shown}");
}

#[test]
fn nothing_is_switched_on_before_a_right_code() {
    let house = House::build();
    let screen = Screen::open(&house, "totp-admin enroll alice");
    let _ = screen.expect("Code in the app");
    let phone = Phone::new(secret_of(&screen.qr_code(Theme::Dark)));
    screen.type_line(&phone.wrong(0));
    // In one case of some hundred this code is right for another hour, and that is said in other words.
    let _ = screen.expect("switched on yet.");
    assert!(!house.path("/var/lib/pam-totp/users/alice.toml").exists());
    screen.type_line(&phone.now());
    let _ = screen.expect("over: 0");
    assert!(house.path("/var/lib/pam-totp/users/alice.toml").exists());
}
