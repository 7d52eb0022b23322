// How scenes are told to run.py, as lines of JSON on standard output, and a backend, which opens and ends sessions.
package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
)

var (
	base    = os.Getenv("URL")
	answers = bufio.NewReader(os.Stdin)
)

type scene struct {
	sentence string
	play     func()
}

// difference is what was expected in a scene and what was got.
type difference [2]string

// hold: what is expected, in the contract's words, has to hold; got is shown where it does not.
func hold(holds bool, expected string, got any) {
	if !holds {
		panic(difference{expected, strings.TrimSpace(fmt.Sprint(got))})
	}
}

func tell(message map[string]any) {
	if err := json.NewEncoder(os.Stdout).Encode(message); err != nil {
		panic(err)
	}
}

// play plays one scene. A panic of the client's counts too: nothing was shown.
func play(client string, played scene) {
	defer func() {
		var found any
		switch caught := recover().(type) {
		case nil:
		case difference:
			found = caught
		default:
			found = difference{"the scene ends", fmt.Sprintf("%v\n%s", caught, debug.Stack())}
		}
		tell(map[string]any{"client": client, "scene": played.sentence, "difference": found})
	}()
	played.play()
}

// store: while the store has this fault, which run.py plays; it answers when it does.
func store(fault string, during func()) {
	play := func(fault string) {
		tell(map[string]any{"fault": fault})
		if _, err := answers.ReadString('\n'); err != nil {
			panic(err)
		}
	}
	play(fault)
	defer play("pass")
	during()
}

// client is the module that is driven, as it was built in.
func client() string {
	build, _ := debug.ReadBuildInfo()
	for _, module := range build.Deps {
		if strings.HasSuffix(module.Path, "/cloud-sdk-go") {
			return "cloud-sdk-go " + module.Version
		}
	}
	panic("the client is not built in")
}

type session struct {
	Token   string                  `json:"refresh_token"`
	Session struct{ Family string } `json:"session"`
}

// opened is a new session, as the product's sign-in would have it opened.
func opened() (opened session) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		panic(err)
	}
	body := fmt.Sprintf(`{"tenant":"elastic","user":"demo","client_token":"%s"}`, hex.EncodeToString(random))
	answer := sent("POST", "/sessions", body, http.StatusCreated)
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&opened); err != nil {
		panic(err)
	}
	return opened
}

// signOut does what the product's sign-out has the backend do.
func signOut(open session) {
	path := "/sessions/" + open.Session.Family + "?tenant=elastic&user=demo"
	sent("DELETE", path, "", http.StatusOK).Body.Close()
}

func sent(method, path, body string, status int) *http.Response {
	request, err := http.NewRequest(method, base+path, strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		panic(err)
	}
	hold(answer.StatusCode == status, fmt.Sprintf("%s %s: %d", method, path, status), answer.Status)
	return answer
}
