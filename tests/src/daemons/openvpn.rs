//! The real OpenVPN, server and client, in a network of their own: a login by its PAM plugin with password and code apart, as
//! clients send them that were told of a static challenge.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::Running;
use super::base64::encode;
use crate::{House, eventually};

/// A server that runs, and the network that it and its clients are in. The PAM service is `openvpn`.
#[derive(Debug)]
pub struct OpenVpn<'a> {
    house: &'a House,
    network: Running,
    server: Running,
    /// What the clients have said, one after the other.
    clients: RefCell<String>,
}

/// Where Debian has OpenVPN's plugins.
const PLUGINS: &str = "/usr/lib/openvpn";

const DEVICE: &str = "/dev/net/tun";

impl<'a> OpenVpn<'a> {
    /// Whether this machine has what a server needs of its kernel.
    #[must_use]
    pub fn has_device() -> bool {
        // The file may be there, and the device not.
        fs::OpenOptions::new().read(true).write(true).open(DEVICE).is_ok()
    }

    /// Starts it with these lines, of which one names the plugin as Debian has it.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    #[must_use]
    pub fn start(house: &'a House, lines: &str) -> Self {
        make_certificate(house);
        let lines = lines.replace(PLUGINS, plugins());
        let server = format!(
            "dev tun\nserver 10.8.0.0 255.255.255.0\nlocal 127.0.0.1\nport 1194\nproto udp\nca /run/vpn/cert\ncert /run/vpn/cert\n\
             key /run/vpn/key\ndh none\nverify-client-cert none\nusername-as-common-name\n{lines}\
             ifconfig-noexec\nroute-noexec\nverb 4\n"
        );
        fs::write(house.path("/run/vpn/server.conf"), server).unwrap();
        house.run("mkdir", &["/dev/net"]);
        house.run("cp", &["-a", "/dev/machine/net/tun", DEVICE]);
        let mut command = house.command("unshare");
        command.args(["--net", "sh", "-c", "ip link set lo up && echo up && exec sleep infinity"]);
        let network = Running::start(house, "network", command);
        eventually("the network is up", || network.output().contains("up").then_some(()));
        let running = Self::inside(house, &network, "/run/vpn/server.conf");
        let mut server = Running::start(house, "openvpn-server", running);
        eventually("the server is there", || {
            assert!(!server.has_ended(), "openvpn has ended: {}", server.output());
            server.output().contains("Initialization Sequence Completed").then_some(())
        });
        Self { house, network, server, clients: RefCell::default() }
    }

    /// Whether a client is let in. `password` is what it sends.
    ///
    /// # Panics
    ///
    /// If the client ends in another way.
    #[must_use]
    pub fn login(&self, user: &str, password: &str) -> bool {
        let (house, file) = (self.house, self.house.path("/run/vpn/who"));
        fs::write(&file, format!("{user}\n{password}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let client = "client\ndev tun\nremote 127.0.0.1 1194 udp\nnobind\nca /run/vpn/cert\nauth-user-pass /run/vpn/who\n\
                      ifconfig-noexec\nroute-noexec\nauth-retry none\nverb 3\n";
        fs::write(house.path("/run/vpn/client.conf"), client).unwrap();
        let command = Self::inside(house, &self.network, "/run/vpn/client.conf");
        let client = Running::start(house, "openvpn-client", command);
        let is_in = eventually("the client is in, or is not", || {
            let said = client.output();
            let is_in = said.contains("Initialization Sequence Completed");
            (is_in || said.contains("AUTH_FAILED")).then_some(is_in)
        });
        self.clients.borrow_mut().push_str(&client.ended());
        is_in
    }

    /// The same with password and code apart, as after a static challenge.
    #[must_use]
    pub fn login_challenged(&self, user: &str, password: &str, code: &str) -> bool {
        let both = [password, code].map(|text| encode(text.as_bytes()));
        self.login(user, &format!("SCRV1:{}:{}", both[0], both[1]))
    }

    /// What the server and its clients have said.
    #[must_use]
    pub fn output(&self) -> String {
        self.server.output() + &self.clients.borrow()
    }

    fn inside(house: &House, network: &Running, settings: &str) -> Command {
        let mut command = house.command("nsenter");
        command.args(["--net", "--target", &network.child.id().to_string()]);
        command.args(["/usr/sbin/openvpn", "--config", settings]);
        command
    }
}

/// Where this machine has OpenVPN's plugins.
fn plugins() -> &'static str {
    let candidates = [PLUGINS, "/usr/lib64/openvpn/plugins", "/usr/lib/openvpn/plugins"];
    let has_it =
        |path: &&&str| fs::exists(format!("{path}/openvpn-plugin-auth-pam.so")).unwrap_or(false);
    candidates.iter().find(has_it).expect("openvpn is needed")
}

/// One certificate, for the server and as what signs it.
fn make_certificate(house: &House) {
    fs::create_dir(house.path("/run/vpn")).unwrap();
    house.run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
            "-subj",
            "/CN=server",
            "-keyout",
            "/run/vpn/key",
            "-out",
            "/run/vpn/cert",
        ],
    );
}
