// Drives the UserLogin of cloud-sdk-go, Elastic Cloud's client for Go: it holds one token, puts the next in its place at
// each refresh, keeps the old one on any error, and panics at an answer without a token.
package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/elastic/cloud-sdk-go/pkg/api"
	"github.com/elastic/cloud-sdk-go/pkg/auth"
	"github.com/elastic/cloud-sdk-go/pkg/client/authentication"
	"github.com/go-openapi/runtime"
	httptransport "github.com/go-openapi/runtime/client"
)

const (
	user = "demo"
	// More than the bucket holds.
	callers = 12
	// Within this, a limit of a few requests a second is over, and three background refreshes are done.
	patience = 20 * time.Second
)

// By stack of run.py.
var stacks = map[string][]scene{
	"wide": {
		{"each refresh puts another token in the place of the one before", refresh},
		{"eight holders of one token get on at once, and one of them goes on", together},
		{"the background refresh gets on, and has no error to tell of", background},
		{"the old token again, as after a lost answer, gets on as long as its successor is unused", lost},
		{"an old token whose successor was used ends the session", reused},
		{"a forged token is told in the product's words, and kept", forged},
		{"a name and a password open a session, whose token is refreshed", password},
		{"a wrong password, and no credentials, are the 401 that the client knows", unauthorized},
		{"a session that was signed out is told in the product's words", signedOut},
		{"a store that is down is told in the product's words, and the token is kept", down},
	},
	"tight": {{"a limit is told in the product's words, and costs nothing", limited}},
	"off":   {{"with the window off one of six at once gets on, and the others keep their token", conflict}},
}

func main() {
	for _, scene := range stacks[os.Getenv("STACK")] {
		play(client(), scene)
	}
}

// login is the client with one token in its holder.
type login struct {
	*auth.UserLogin
	api *api.API
}

func signedIn(token string) login {
	user, err := auth.NewUserLogin(user, os.Getenv("PASSWORD"))
	if err != nil {
		panic(err)
	}
	user.Holder = &holder{given: make(chan struct{}, callers)}
	_ = user.Holder.Update(token)
	client, err := api.NewAPI(api.Config{Client: new(http.Client), AuthWriter: user, Host: base, SkipLogin: true})
	if err != nil {
		panic(err)
	}
	return login{user, client}
}

func (login login) refresh() error { return login.RefreshTokenOnce(login.api.V1API) }

func (login login) token() string { return login.Holder.Token() }

// holder is the client's own, and tells of each token that it is given.
type holder struct {
	auth.GenericHolder
	given chan struct{}
}

func (holder *holder) Update(token string) error {
	err := holder.GenericHolder.Update(token)
	select {
	case holder.given <- struct{}{}:
	default:
	}
	return err
}

func refresh() {
	login := signedIn(opened().Token)
	for range 3 {
		before := login.token()
		succeeds(login.refresh(), "a refresh")
		hold(login.token() != before, "another token", "the same one")
	}
}

func together() {
	logins := holdersOf(opened().Token, 8)
	for _, err := range atOnce(logins) {
		succeeds(err, "a refresh, of eight with one token")
	}
	for range 2 {
		succeeds(logins[7].refresh(), "a refresh of one of them")
	}
}

func background() {
	login, told, stop := signedIn(opened().Token), new(bytes.Buffer), make(chan os.Signal)
	before, given := login.token(), login.Holder.(*holder).given
	<-given
	err := login.RefreshToken(auth.RefreshTokenParams{
		Client: login.api.V1API, Frequency: 50 * time.Millisecond, ErrorDevice: told, InterruptChannel: stop,
	})
	succeeds(err, "the background refresh begins")
	overdue := time.After(patience)
	for n := range 3 {
		select {
		case <-given:
		case <-overdue:
			hold(false, "three background refreshes", n)
		}
	}
	// It is taken between two refreshes, and no other follows.
	stop <- os.Interrupt
	hold(told.Len() == 0, "no error in the background", told)
	hold(login.token() != before, "another token", "the same one")
	succeeds(login.refresh(), "a refresh afterwards")
}

func lost() {
	login := signedIn(opened().Token)
	old := login.token()
	succeeds(login.refresh(), "a refresh")
	_ = login.Holder.Update(old)
	succeeds(login.refresh(), "a refresh with the old token")
	succeeds(login.refresh(), "a refresh with what that got")
}

func reused() {
	token := opened().Token
	owner, thief := signedIn(token), signedIn(token)
	succeeds(owner.refresh(), "a refresh")
	succeeds(owner.refresh(), "a refresh with the successor")
	refused(thief.refresh(), "root.unauthorized", "the old token, its successor used")
	refused(owner.refresh(), "root.unauthorized", "the newest token: the session has ended")
}

func forged() {
	token := opened().Token
	login := signedIn(token[:len(token)-4] + "AAAA")
	before := login.token()
	refused(login.refresh(), "root.unauthorized", "a token that does not verify")
	hold(login.token() == before, "the client keeps its token", "another one")
	succeeds(signedIn(token).refresh(), "the token itself")
}

func password() {
	answer, err := ask(httptransport.BasicAuth(user, os.Getenv("PASSWORD")))
	succeeds(err, "a name and a password")
	succeeds(signedIn(*answer.Payload.Token).refresh(), "a refresh of the token that it got")
}

func unauthorized() {
	for what, credentials := range map[string]runtime.ClientAuthInfoWriter{
		"a wrong password": httptransport.BasicAuth(user, "wrong"), "no credentials": nil,
	} {
		_, err := ask(credentials)
		_, is := err.(*authentication.RefreshTokenUnauthorized)
		hold(is, what+": RefreshTokenUnauthorized", fmt.Sprintf("%T", err))
	}
}

func signedOut() {
	session := opened()
	login := signedIn(session.Token)
	succeeds(login.refresh(), "a refresh")
	signOut(session)
	refused(login.refresh(), "root.unauthorized", "sealed")
}

func down() {
	login := signedIn(opened().Token)
	before := login.token()
	store("refuse", func() {
		refused(login.refresh(), "authc.authentication_cluster_error", "the store failed")
	})
	hold(login.token() == before, "the client keeps its token", "another one")
	succeeds(login.refresh(), "the same token afterwards")
}

func limited() {
	logins := holdersOf(opened().Token, callers)
	var waiting []login
	for n, err := range atOnce(logins) {
		if err != nil {
			refused(err, "root.too_many_requests", "a limit")
			waiting = append(waiting, logins[n])
		}
	}
	hold(len(waiting) > 0, "429 where the limit is reached", "all got on")
	for _, login := range waiting {
		getsOn(login)
	}
	// Only now: as soon as one of them has used the successor, the others' old token is over.
	getsOn(logins[0])
}

// getsOn: it has to get on when the limit is over. It asks again and again.
func getsOn(login login) {
	deadline := time.Now().Add(patience)
	err := login.refresh()
	for err != nil && time.Now().Before(deadline) {
		err = login.refresh()
	}
	succeeds(err, "a refresh when the limit is over")
}

func conflict() {
	token := opened().Token
	logins := holdersOf(token, 6)
	var won []login
	for n, err := range atOnce(logins) {
		if err == nil {
			won = append(won, logins[n])
			continue
		}
		refused(err, "authc.authentication_cluster_error", "a successor of this token is being made")
		hold(logins[n].token() == token, "the client keeps its token", "another one")
	}
	hold(len(won) == 1, "one of six gets on", len(won))
	succeeds(won[0].refresh(), "a refresh of the one")
}

// ask refreshes as the generated client does, with other credentials than a token.
func ask(credentials runtime.ClientAuthInfoWriter) (*authentication.RefreshTokenOK, error) {
	return signedIn("none").api.V1API.Authentication.RefreshToken(authentication.NewRefreshTokenParams(), credentials)
}

func holdersOf(token string, count int) []login {
	logins := make([]login, count)
	for n := range logins {
		logins[n] = signedIn(token)
	}
	return logins
}

// atOnce has all of them refresh once, and returns their errors in their order.
func atOnce(logins []login) []error {
	var wait sync.WaitGroup
	errs := make([]error, len(logins))
	for n, login := range logins {
		wait.Add(1)
		go func() {
			defer wait.Done()
			errs[n] = login.refresh()
		}()
	}
	wait.Wait()
	return errs
}

func succeeds(err error, what string) { hold(err == nil, what+": no error", err) }

// refused: it has to fail with this code of the product's.
func refused(err error, code, why string) {
	hold(err != nil && strings.Contains(err.Error(), code), why+": "+code, err)
}
