//! `config.toml`.

use totp_core::policy::Config;

/// What is read is printed and read again as the same; an unknown key is refused; an error names a place inside the file.
pub fn check(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let config = match Config::parse(text) {
        Ok(config) => config,
        Err(error) => {
            let lines = text.matches('\n').count() + 1;
            assert!((1..=lines).contains(&error.line), "{error} of {lines} lines");
            assert!(!error.message.contains('\n'), "{error}");
            return;
        }
    };
    let printed = config.print().expect("what was read can be printed");
    let again = Config::parse(&printed).expect("what was printed can be read");
    assert_eq!(again, config);
    assert_eq!(again.print().unwrap(), printed);
    assert!(Config::parse(&format!("noise = 1\n{text}")).is_err(), "an unknown key");
    // What decisions need of it is in range, whatever was written.
    let rules = config.rules().expect("a chance in range");
    assert!(rules.window <= 10 && (15..=120).contains(&rules.usual.period.seconds()));
    assert!(config.paths.state_dir.as_str().starts_with('/'));
    if let Some((program, _)) = config.sms.command.parts() {
        assert!(program.starts_with('/'));
    }
    for service in config.service.keys().map(String::as_str).chain(["sshd"]) {
        assert_eq!(again.policy(service), config.policy(service));
    }
}
