// A server of Go's crypto/tls: it reports what it knows of a connection as a line of JSON, then
// sends everything back. Standard library only; see ../go.ts for its argument.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"os"
)

type options struct {
	Cert          string
	Key           string
	ClientAnchors string
	Groups        []string
	Tickets       bool
	Alpn          []string
	Staple        string
}

type report struct {
	Resumed bool    `json:"resumed"`
	Group   string  `json:"group"`
	Suite   string  `json:"suite"`
	Alpn    *string `json:"alpn"`
	Client  *string `json:"client"`
}

var groups = map[string]tls.CurveID{
	"x25519":         tls.X25519,
	"secp256r1":      tls.CurveP256,
	"X25519MLKEM768": tls.X25519MLKEM768,
}

func main() {
	var wish options
	must(json.Unmarshal([]byte(os.Args[1]), &wish))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	config := configuration(wish)
	fmt.Printf("listening on %d\n", listener.Addr().(*net.TCPAddr).Port)
	for {
		connection, err := listener.Accept()
		must(err)
		go serve(tls.Server(connection, config))
	}
}

func configuration(wish options) *tls.Config {
	certificate, err := tls.LoadX509KeyPair(wish.Cert, wish.Key)
	must(err)
	if wish.Staple != "" {
		certificate.OCSPStaple, err = os.ReadFile(wish.Staple)
		must(err)
	}
	config := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{certificate},
		NextProtos:             wish.Alpn,
		SessionTicketsDisabled: !wish.Tickets,
	}
	for _, name := range wish.Groups {
		config.CurvePreferences = append(config.CurvePreferences, groups[name])
	}
	if wish.ClientAnchors != "" {
		pem, err := os.ReadFile(wish.ClientAnchors)
		must(err)
		config.ClientCAs = x509.NewCertPool()
		config.ClientCAs.AppendCertsFromPEM(pem)
		config.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return config
}

func serve(connection *tls.Conn) {
	defer connection.Close()
	if err := connection.Handshake(); err != nil {
		fmt.Printf("refused: %v\n", err)
		return
	}
	if err := json.NewEncoder(connection).Encode(reportOf(connection.ConnectionState())); err != nil {
		fmt.Printf("broken: %v\n", err)
		return
	}
	if _, err := io.Copy(connection, connection); err != nil {
		fmt.Printf("broken: %v\n", err)
	}
}

func reportOf(state tls.ConnectionState) report {
	known := report{
		Resumed: state.DidResume,
		Group:   groupName(state.CurveID),
		Suite:   tls.CipherSuiteName(state.CipherSuite),
	}
	if state.NegotiatedProtocol != "" {
		known.Alpn = &state.NegotiatedProtocol
	}
	if len(state.PeerCertificates) > 0 {
		leaf := hex.EncodeToString(state.PeerCertificates[0].Raw)
		known.Client = &leaf
	}
	return known
}

func groupName(id tls.CurveID) string {
	for name, known := range groups {
		if known == id {
			return name
		}
	}
	return id.String()
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
