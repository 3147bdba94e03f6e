//! Secrets in the memory of the program around the module: none once a login is over. All that the process could write to is
//! searched, and a core of it. Keys are in totpd alone; what is typed and shown passes through.

use std::fs;

use pam_totp_tests::{Answer, Application, House, Memory, Needle, Pam, Phone};

/// What is never to be found of a shared secret: the bytes, the letters, as they go into the HMAC, and either half of each.
fn of_secret(whose: &str, phone: &Phone) -> Vec<Needle> {
    let letters = phone.secret();
    let bytes = bytes_of(letters);
    let (front, back) = letters.split_at(letters.len() / 2);
    let keyed = |pad: u8| bytes.iter().map(|byte| byte ^ pad).collect::<Vec<u8>>();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let grouped = letters.as_bytes().chunks(4).map(String::from_utf8_lossy);
    let grouped = grouped.collect::<Vec<_>>().join(" ");
    let needle = |what: &str, bytes: &[u8]| Needle::new(format!("{what} of {whose}'s key"), bytes);
    vec![
        needle("the first bytes", &bytes[..10]),
        needle("the last bytes", &bytes[10..]),
        needle("the first letters", front.as_bytes()),
        needle("the last letters", back.as_bytes()),
        needle("the letters in groups", &grouped.as_bytes()[grouped.len() / 2..]),
        needle("the hex digits", &hex.as_bytes()[..20]),
        needle("the inner HMAC block", &keyed(0x36)[..12]),
        needle("the outer HMAC block", &keyed(0x5c)[..12]),
        needle("the computed codes", &computed(phone)),
    ]
}

/// Two adjacent codes as numbers, as the module computes them.
fn computed(phone: &Phone) -> Vec<u8> {
    let codes = [phone.in_steps(0), phone.in_steps(1)];
    codes.iter().flat_map(|code| code.parse::<u32>().unwrap().to_ne_bytes()).collect()
}

/// What somebody typed: as it was typed, and as single digits.
fn of_codes(codes: &[String]) -> Vec<Needle> {
    let needles = codes.iter().flat_map(|code| {
        let code = code.trim_start();
        let plain: String = code.chars().filter(|c| *c != '-').collect();
        let digits = plain.bytes().map(|byte| byte.wrapping_sub(b'0')).collect::<Vec<u8>>();
        let what = |form: &str| format!("{form} {code}");
        [
            Needle::new(what("the typed"), code.as_bytes()),
            Needle::new(what("the compact"), plain.as_bytes()),
            Needle::new(what("the single digits of"), digits),
        ]
    });
    needles.collect()
}

fn bytes_of(base32: &str) -> Vec<u8> {
    let (mut bytes, mut waiting, mut count) = (Vec::new(), 0_u32, 0);
    for letter in base32.bytes() {
        let value = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".iter().position(|one| *one == letter);
        waiting = waiting << 5 | u32::try_from(value.expect("base32")).unwrap();
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(waiting >> count & 0xff).unwrap());
        }
    }
    bytes
}

/// One login to its end, and what is then in memory.
fn after(application: &mut Application, user: &str, answers: &[String], expected: Pam) -> Memory {
    let outcome = application.login("code", user).authenticate(answers);
    assert_eq!(outcome.code, expected, "{user}: {outcome:?}");
    forgotten(application)
}

fn forgotten(application: &mut Application) -> Memory {
    application.wipe();
    let memory = Memory::of(application.pid());
    assert!(memory.size() > 1 << 18, "the search has nothing to search");
    memory
}

#[test]
fn a_search_finds_what_is_in_memory() {
    let house = House::build();
    let mut application = house.application();
    let mut login = application.login("code", "alice");
    let _ = login.begin("auth 0").hear();
    login.answer("918273");
    let _ = login.rest(["645546"]);
    drop(login);
    let found = Memory::of(application.pid()).finds(&[Needle::new("the answer", "645546")]);
    assert!(!found.is_empty(), "the program itself has kept it in its buffers");
}

#[test]
fn no_secret_is_left_in_memory_whatever_became_of_the_login() {
    let house = House::build();
    let document = house.admin_json(&["enroll", "alice", "--json", "--no-confirm"]);
    let phone = Phone::new(document["secret"].as_str().unwrap());
    let recovery = document["recovery_codes"][0].as_str().unwrap().to_string();
    // Bound when it starts: binding a function at its first call leaves its arguments' registers on the stack.
    let mut application = house.application_with(&[("LD_BIND_NOW", "1")]);
    let right = phone.in_steps(-1);
    let (wrong, three) = (phone.wrong(0), [2, 3, 4].map(|step| phone.in_steps(step)).concat());
    // Beyond the bytes that malloc writes itself into what is freed.
    let behind_blanks = [4, 5].map(|nth| format!("{:>48}", phone.wrong(nth)));
    let logins: [(&str, Vec<String>, Pam); 7] = [
        ("a right code", vec![right.clone()], Pam::Success),
        ("a used code", vec![right.clone(), right], Pam::AuthErr),
        ("wrong codes", vec![wrong, phone.wrong(1)], Pam::AuthErr),
        ("a word and a wrong code", vec!["?".into(), phone.wrong(2), phone.wrong(3)], Pam::AuthErr),
        ("wrong codes behind blanks", behind_blanks.to_vec(), Pam::AuthErr),
        ("three codes in a row", vec![three], Pam::Success),
        ("a recovery code", vec![recovery], Pam::Success),
    ];
    let mut needles = of_secret("alice", &phone);
    for (what, answers, expected) in logins {
        let memory = after(&mut application, "alice", &answers, expected);
        needles.extend(of_codes(&answers).into_iter().filter(|needle| needle.bytes.len() >= 6));
        let found = memory.finds(&needles);
        assert!(found.is_empty(), "after {what}:\n{}", found.join("\n"));
    }
    let outcome = application.login("code", "alice").authenticate([Answer::NoReply]);
    assert_eq!(outcome.code, Pam::ConvErr);
    let found = forgotten(&mut application).finds(&needles);
    assert!(found.is_empty(), "after no answer:\n{}", found.join("\n"));
    assert_eq!(found_in_a_core(&house, &mut application, &needles), Vec::<String>::new());
}

/// The same in a core, as the kernel or a debugger writes it: whatever is in one gets into crash reports.
fn found_in_a_core(
    house: &House,
    application: &mut Application,
    needles: &[Needle],
) -> Vec<String> {
    application.wipe();
    let core = house.disk().join("core");
    let prefix = core.to_str().unwrap();
    let output = std::process::Command::new("gcore")
        .args(["-a", "-o", prefix, &application.pid().to_string()])
        .output()
        .expect("gdb is needed");
    let core = format!("{prefix}.{}", application.pid());
    assert!(fs::exists(&core).unwrap(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = Memory::of_core(core.as_ref()).finds(needles);
    fs::remove_file(core).unwrap();
    found
}
