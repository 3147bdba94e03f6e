//! The command at a terminal: what is drawn, asked and answered there.

use std::os::unix::fs::PermissionsExt as _;

use rexpect::session::{PtySession, spawn_command};

use crate::support::{COMMAND, DEFAULT_SIGNALS, House, OTHER, SECRET, USER, code, wrong_code};

/// How every line of a drawing begins: black on white.
pub const PICTURE: &str = "\x1b[0;30;47;107m";

/// The command on a terminal of this size.
pub fn at(house: &House, lines: u16, columns: u16, args: &str, environment: &str) -> PtySession {
    let mut command = std::process::Command::new("/bin/sh");
    let config = house.config();
    command.arg("-c").arg(format!(
        "stty rows {lines} cols {columns} -echo; exec env -i {DEFAULT_SIGNALS} TZ=UTC TERM=xterm LC_ALL=C.UTF-8 \
         {environment} \
         {COMMAND} --config {} {args}",
        config.display()
    ));
    spawn_command(command, Some(20_000)).unwrap()
}

pub fn key(text: &str) -> String {
    let (_, key) = text.split_once("key: ").unwrap();
    let (key, _) = key.split_once(" (").unwrap();
    key.replace(' ', "")
}

/// What was shown, as the characters it was meant to be: they arrive byte by byte.
pub fn utf8(shown: &str) -> String {
    let bytes: Vec<u8> = shown.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn enrolling_goes_as_in_the_manual() {
    let Some(house) = House::new("[totp]\nissuer = \"web1\"") else { return };
    let mut terminal = at(&house, 24, 80, &format!("enroll {USER}"), "");
    let shown = terminal.exp_string("Code in the app (changes in ").unwrap();
    let first =
        "Scan with daemon's app. (Not here? Ctrl-C; totp-admin enroll daemon --at-login)\r\n";
    assert!(shown.starts_with(first), "{shown}");
    assert!(shown.contains(PICTURE) && shown.contains("(web1:daemon)"), "{shown}");
    let secret = key(&shown);
    terminal.send_line(&wrong_code(&secret)).unwrap();
    terminal.exp_string("Not this key's code. Nothing is switched on yet.").unwrap();
    terminal.exp_string("Code in the app").unwrap();
    assert!(!house.file_of(USER).exists());
    let right = code(&secret, 0);
    let (one, other) = right.split_at(3);
    terminal.send_line(&format!("{one} {other}")).unwrap();
    terminal.exp_string("daemon is enrolled; the clocks agree.").unwrap();
    let codes = terminal.exp_eof().unwrap();
    assert!(
        codes.contains("each logs daemon in once without the phone. Not shown again."),
        "{codes}"
    );
    assert!(house.file_of(USER).exists());
}

#[test]
fn code_key_and_prompt_are_within_eighty_by_twenty_four() {
    let Some(house) = House::new("[totp]\nissuer = \"a-rather-long-name.example.com\"") else {
        return;
    };
    let mut terminal = at(&house, 24, 80, &format!("enroll {USER}"), "");
    let shown = terminal.exp_string("Code in the app").unwrap();
    let width = |line: &str| line.chars().count().saturating_sub(line.matches('\x1b').count() * 8);
    // Half blocks arrive as three bytes each; only the lines without any are measured.
    let below: Vec<&str> = shown.lines().filter(|line| !line.contains(PICTURE)).skip(1).collect();
    let lines: usize = below.iter().map(|line| width(line).div_ceil(80)).sum();
    let drawn = shown.lines().filter(|line| line.contains(PICTURE)).count();
    assert!(drawn > 15 && drawn + lines < 24, "{shown}");
    terminal.send_control('c').unwrap();
}

#[test]
fn a_terminal_that_is_too_small_gets_the_key_and_a_way_out() {
    let Some(house) = House::new("") else { return };
    for (lines, columns) in [(24, 30), (12, 80)] {
        let mut terminal = at(&house, lines, columns, &format!("enroll {USER}"), "");
        let shown = terminal.exp_string("Code in the app").unwrap();
        assert!(shown.contains("No QR code: ") && shown.contains("--qr-file"), "{shown}");
        assert!(!shown.contains(PICTURE) && key(&shown).len() == 32, "{shown}");
        terminal.send_control('c').unwrap();
    }
    let mut terminal = at(&house, 24, 80, &format!("enroll {USER}"), "LC_ALL=C");
    let shown = terminal.exp_string("Code in the app").unwrap();
    assert!(shown.contains("--qr utf8"), "{shown}");
    terminal.send_control('c').unwrap();
}

#[test]
fn no_color_takes_the_colours_of_words_and_leaves_those_of_the_picture() {
    let Some(house) = House::new("") else { return };
    let mut terminal = at(&house, 24, 80, &format!("enroll {USER} --no-confirm"), "NO_COLOR=1");
    let shown = terminal.exp_eof().unwrap();
    assert!(shown.contains(PICTURE) && !shown.contains("\x1b[32m"), "{shown}");
}

#[test]
fn repairing_everybody_is_asked_about_with_their_number() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    house.enroll(OTHER);
    house.run(&["disable", "sync"]).done();
    for (answer, repaired) in [("n", 0), ("y", 2)] {
        let mut terminal = at(&house, 24, 80, "repair --all", "");
        let question = "Void the one-time codes of 2 users, and forget their devices? [y/N]";
        terminal.exp_string(question).unwrap();
        terminal.send_line(answer).unwrap();
        let end = terminal.exp_eof().unwrap();
        let events = house.events();
        let count = events.iter().filter(|event| *event == "repaired").count();
        assert_eq!(count, repaired, "{end}");
    }
}

#[test]
fn disable_asks_for_a_reason_and_whether_it_is_meant() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    for (answer, events) in [("n", 1), ("", 1), ("y", 2)] {
        let mut terminal = at(&house, 24, 80, &format!("disable {USER}"), "");
        terminal.exp_string("daemon: phone (TOTP), 5 recovery codes, enrolled ").unwrap();
        terminal.exp_string("From now on daemon logs in with the first factor alone.").unwrap();
        terminal.exp_string("Reason (recorded, sent to daemon):").unwrap();
        terminal.send_line("lost it").unwrap();
        terminal.exp_string("Switch off daemon's second factor? [y/N]").unwrap();
        terminal.send_line(answer).unwrap();
        let end = terminal.exp_eof().unwrap();
        assert_eq!(house.events().len(), events, "{end}");
    }
    assert_eq!(house.record()[1]["reason"], "lost it");
    assert!(house.record()[1]["actor"]["tty"].as_str().unwrap().starts_with("/dev/pts/"));
}

#[test]
fn an_enrollment_that_somebody_else_overtook_is_refused() {
    let Some(house) = House::new("") else { return };
    let mut terminal = at(&house, 24, 80, &format!("enroll {USER}"), "");
    let shown = terminal.exp_string("Code in the app").unwrap();
    house.enroll(USER);
    terminal.send_line(&code(&key(&shown), 0)).unwrap();
    let end = terminal.exp_eof().unwrap();
    assert!(end.contains("was changed by somebody else in the meantime"), "{end}");
    assert_eq!(house.events(), ["enrolled"]);
    assert_eq!(house.verify(USER, &code(SECRET, 0)).code, 0);
}

#[test]
fn yes_skips_the_question() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let mut terminal = at(&house, 24, 80, &format!("disable {USER} --yes --reason x"), "");
    let shown = terminal.exp_eof().unwrap();
    assert!(!shown.contains("[y/N]") && shown.contains("Record 2, by "), "{shown}");
}

#[test]
fn verify_asks_for_the_code() {
    let Some(house) = House::new("") else { return };
    house.enroll(USER);
    let mut terminal = at(&house, 24, 80, &format!("verify {USER}"), "");
    terminal.exp_string("Code:").unwrap();
    terminal.send_line(&code(SECRET, 0)).unwrap();
    terminal.exp_string("Right (phone); the clocks agree.").unwrap();
    terminal.exp_eof().unwrap();
}

#[test]
fn an_editor_survives_ctrl_c_and_a_question_leaves_no_copy() {
    let Some(house) = House::new("# mine") else { return };
    let editor = house.path("editor");
    let script = "#!/bin/sh\ntrap 'echo got it' INT\necho ready\nwhile [ -z \"$line\" ]; do read line; done\necho \"$line\" >> \"$1\"\n";
    std::fs::write(&editor, script).unwrap();
    std::fs::set_permissions(&editor, std::fs::Permissions::from_mode(0o700)).unwrap();
    let environment = format!("PATH=/usr/bin:/bin EDITOR={}", editor.display());
    let copies = || {
        let names = std::fs::read_dir(house.path("")).unwrap().flatten().map(|e| e.file_name());
        names.filter(|name| name.to_string_lossy().starts_with(".edit-")).count()
    };

    let mut terminal = at(&house, 24, 80, "config edit", &environment);
    terminal.exp_string("ready").unwrap();
    terminal.send_control('c').unwrap();
    terminal.exp_string("got it").unwrap();
    assert_eq!(copies(), 1);
    terminal.send_line("nonsense").unwrap();
    terminal.exp_string("What now?").unwrap();
    terminal.send_control('c').unwrap();
    terminal.exp_eof().unwrap();
    assert_eq!(copies(), 0);
}
