//! The house's syslog: a datagram socket where libc looks for `/dev/log`, and the lines that came in.

use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::SOON;

/// The line that says how far the collector has read.
const MARK: &str = "read until here";

/// The lines that programs in the house sent to syslog, without priority and date: they begin with the
/// name of the program, such as `sshd[123]: pam_totp(sshd:auth): …`.
#[derive(Debug, Clone)]
pub struct Syslog {
    path: PathBuf,
    lines: Arc<(Mutex<Vec<String>>, Condvar)>,
}

impl Syslog {
    pub(crate) fn listen(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).expect("the house's directory can be written");
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o666))
            .unwrap();
        let syslog = Self { path: path.to_path_buf(), lines: Arc::default() };
        let lines = Arc::downgrade(&syslog.lines);
        // Looks up now and then whether anybody still holds the house.
        socket.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        std::thread::spawn(move || {
            let mut buffer = vec![0; 65_536];
            loop {
                let received = socket.recv(&mut buffer);
                let Some(lines) = lines.upgrade() else { return };
                if let Ok(length) = received {
                    let line = strip(&String::from_utf8_lossy(&buffer[..length]));
                    lines.0.lock().unwrap().push(line);
                    lines.1.notify_all();
                }
            }
        });
        syslog
    }

    /// Everything that was sent until now.
    ///
    /// # Panics
    ///
    /// If the collector is stuck.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        // What was sent before this line is read before it.
        let date = "Nov 21 17:00:00";
        UnixDatagram::unbound()
            .and_then(|socket| socket.send_to(format!("<7>{date} {MARK}").as_bytes(), &self.path))
            .expect("the collector listens");
        let _ = self.expect(MARK);
        let mut lines = self.lines.0.lock().unwrap();
        lines.retain(|line| line != MARK);
        lines.clone()
    }

    /// The module's own lines until now, without the name of the program: `pam_totp(sshd:auth): …`.
    #[must_use]
    pub fn module_lines(&self) -> Vec<String> {
        self.lines()
            .iter()
            .filter_map(|line| line.find("pam_totp(").map(|at| line[at..].to_string()))
            .collect()
    }

    /// Waits for a line that contains `text`.
    ///
    /// # Panics
    ///
    /// With all lines there are, if none comes [`SOON`].
    #[must_use]
    pub fn expect(&self, text: &str) -> String {
        let deadline = Instant::now() + SOON;
        let mut lines = self.lines.0.lock().unwrap();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            lines = self.lines.1.wait_timeout(lines, left).unwrap().0;
        }
        let all = lines.join("\n");
        drop(lines);
        panic!("no line with {text:?} in syslog:\n{all}");
    }

    /// Forgets what came in until now.
    pub fn clear(&self) {
        let _ = self.lines();
        self.lines.0.lock().unwrap().clear();
    }
}

/// `<83>Nov 21 17:00:00 sshd[1]: text` without priority and date, which `totpd` leaves out.
fn strip(datagram: &str) -> String {
    const DATE: usize = "Nov 21 17:00:00 ".len();
    let after = datagram.split_once('>').map_or(datagram, |(_, after)| after);
    let is_date = |text: &str| {
        text.ends_with(' ') && text.get(3..4) == Some(" ") && text.get(9..10) == Some(":")
    };
    let dated = after.get(..DATE).is_some_and(is_date);
    let line = if dated { after.get(DATE..).unwrap_or_default() } else { after };
    line.trim_end_matches(['\n', '\0']).to_string()
}
