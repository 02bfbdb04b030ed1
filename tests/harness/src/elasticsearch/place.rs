//! The files and ports of a node and its proxy: those shared with others, and their own.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::guard::Scratch;
use crate::port::free_port;
use crate::process::Process;

/// The password of the user `elastic`.
pub(super) const PASSWORD: &str = "elastic-s3cret";

/// The logging configuration of Elasticsearch: problems only, on standard output.
const LOG4J: &str = "\
status = error
appender.c.type = Console
appender.c.name = c
appender.c.layout.type = PatternLayout
appender.c.layout.pattern = %d{ISO8601} %-5p %c{1.} %m%n
rootLogger.level = warn
rootLogger.appenderRef.c.ref = c
";

/// The properties that stay the same when the servers are restarted.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) http_port: u16,
    pub(super) tls_port: u16,
    /// The files that `scripts/setup-elastic` has made; shared and never written to.
    made: PathBuf,
    directory: Scratch,
}

impl Place {
    pub(super) fn new() -> Self {
        let made = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.cache/elasticsearch-node");
        let made = made
            .canonicalize()
            .ok()
            .filter(|made| made.join("made-from").exists())
            .unwrap_or_else(|| {
                panic!(
                    "the Elasticsearch node is not set up; run `make test-elastic`, or scripts/setup-elastic"
                )
            });
        let place = Self {
            http_port: free_port(),
            tls_port: free_port(),
            made,
            directory: Scratch::new(),
        };
        for name in ["home/config", "home/data", "home/logs", "home/plugins", "nginx"] {
            done(name, fs::create_dir_all(place.directory.join(name)));
        }
        place.write("home/config/log4j2.properties", LOG4J);
        let modules = place.directory.join("home/modules");
        done("home/modules", symlink(place.made.join("modules"), modules));
        place.write("htpasswd", &format!("elastic:{{PLAIN}}{PASSWORD}\n"));
        place.write("nginx.conf", &place.nginx());
        place
    }

    /// The path of a file among the certificates.
    pub(super) fn certificate(&self, name: &str) -> PathBuf {
        self.made.join("tls").join(name)
    }

    /// Starts the node with these settings (`name=value`) in addition to its own.
    pub(super) fn start_node(&self, settings: &[&str]) -> Process {
        let (lib, classes) = (self.made.join("lib"), self.made.join("classes"));
        let home = self.directory.join("home");
        let (lib, classes, home) = (lib.display(), classes.display(), home.display());
        let mut arguments = vec![
            "-Xms512m".to_owned(),
            "-Xmx512m".to_owned(),
            format!("-Des.path.home={home}"),
            "--add-opens=java.base/java.io=ALL-UNNAMED".to_owned(),
            // The modules must not be on the class path, or Elasticsearch's module loader fails.
            format!("--module-path={lib}"),
            "--add-modules=ALL-MODULE-PATH".to_owned(),
            format!("--class-path={classes}"),
            "node.Node".to_owned(),
            home.to_string(),
            self.http_port.to_string(),
        ];
        arguments.extend(settings.iter().map(|&setting| setting.to_owned()));
        Process::spawn("java", arguments, [("", ""); 0])
    }

    pub(super) fn start_proxy(&self) -> Process {
        let (configuration, prefix) = (self.directory.join("nginx.conf"), self.directory.join("nginx"));
        let arguments = [
            "-p".as_ref(),
            prefix.as_os_str(),
            "-c".as_ref(),
            configuration.as_os_str(),
        ];
        Process::spawn("nginx", arguments, [("", ""); 0])
    }

    /// The nginx configuration: a single process, so that it can read files that only this user may read.
    fn nginx(&self) -> String {
        let tls = self.made.join("tls");
        let (tls, own) = (tls.display(), self.directory.path().display());
        let (tls_port, http_port) = (self.tls_port, self.http_port);
        format!(
            "daemon off; master_process off; pid {own}/nginx.pid; error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off; client_max_body_size 100m; client_body_temp_path {own}/nginx/body; proxy_temp_path {own}/nginx/proxy;
  fastcgi_temp_path {own}/nginx/f; uwsgi_temp_path {own}/nginx/u; scgi_temp_path {own}/nginx/s;
  server {{
    listen 127.0.0.1:{tls_port} ssl; ssl_certificate {tls}/node.crt; ssl_certificate_key {tls}/node.key;
    location / {{
      auth_basic security; auth_basic_user_file {own}/htpasswd;
      proxy_pass http://127.0.0.1:{http_port}; proxy_http_version 1.1;
      proxy_set_header Authorization \"\"; proxy_set_header Connection \"\";
    }}
  }}
}}
"
        )
    }

    fn write(&self, name: &str, text: &str) {
        done(name, fs::write(self.directory.join(name), text));
    }
}

fn done(name: &str, result: std::io::Result<()>) {
    result.unwrap_or_else(|error| panic!("cannot make {name}: {error}"));
}
