//! Parameters of the SIP probe.

use ocf::{Kind, Parameter};

pub(crate) static SIP_PROBE: Parameter = Parameter {
    name: "sip_probe",
    default: Some("auto"),
    reloadable: true,
    shortdesc: "Socket that is probed with OPTIONS",
    longdesc: "Socket to which start and monitor send OPTIONS: \"auto\", \"none\", udp:ADDRESS:PORT, \
tcp:ADDRESS:PORT or tls:ADDRESS:PORT. Default: auto. start fails if OPTIONS is not answered within \
sip_probe_attempts times sip_probe_timeout (at least 10 seconds) after OpenSIPS is up: its script must \
answer OPTIONS, or this must be none. With \"auto\" it is one of the instance's own \
sockets on an address that is on this host now, UDP before TCP before TLS, because an answer over \
TCP says nothing about the workers of UDP. A socket that is given here is probed while its address \
is on this host. An address that is on another host is never probed: the other node answers there. \
If no socket can be probed, as on a standby, only processes and sockets are checked. Sockets of \
other protocols (ws, wss, bin, hep, smpp, sctp) are never probed.

The certificate of a TLS socket is not verified: the connection stays on this host. A listener that \
refuses TLS, such as one that demands a client certificate, counts as alive if any code counts (with \
OpenSIPS 4.0 that proves less: its TCP workers take no part), and fails if sip_probe_codes lists \
codes.

With check level 20 (OCF_CHECK_LEVEL) monitor probes every such socket at the same time, unless this \
is none. The exit reason names the first one that is silent; the log names all of them.",
    ..Parameter::TEMPLATE
};

pub(crate) static SIP_PROBE_CODES: Parameter = Parameter {
    name: "sip_probe_codes",
    default: Some("any"),
    reloadable: true,
    shortdesc: "Status codes that count as alive",
    longdesc: "Status codes of an answer to OPTIONS that count as alive: \"any\", or a list like \
200,404,480-489. Default: any. The request carries Max-Forwards: 0, so that it is never forwarded; \
a configuration that checks this first answers 483.",
    ..Parameter::TEMPLATE
};

pub(crate) static SIP_PROBE_TIMEOUT: Parameter = Parameter {
    name: "sip_probe_timeout",
    default: Some("2s"),
    reloadable: true,
    shortdesc: "Time for one attempt of the probe",
    longdesc: "Time for one attempt of the probe, like 2s or 500ms. Default: 2s. Over UDP the request \
is sent again after 0.5 s, 1.5 s and so on (RFC 3261); over TCP and TLS it is sent once. An attempt \
that fails immediately (connection refused) still takes the full time. All attempts are shortened \
if the timeout of the action leaves less time.",
    ..Parameter::TEMPLATE
};

pub(crate) static SIP_PROBE_ATTEMPTS: Parameter = Parameter {
    name: "sip_probe_attempts",
    kind: Kind::Integer,
    default: Some("3"),
    reloadable: true,
    shortdesc: "Attempts of the probe",
    longdesc: "Number of unanswered OPTIONS attempts after which monitor fails. Default: 3. start \
waits for as long, and at least 10 seconds, after OpenSIPS is up.",
    ..Parameter::TEMPLATE
};
