"""How a client of each product refreshes, as far as the deployment test needs it."""

import base64
import json


def key_of(token):
    """The key that signed a token."""
    header = token.split(".")[0]
    return json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))["kid"]


class Client:
    """A client of one product: what it holds, and what it does with an answer."""

    tenant = path = grace = org = None
    # What it answers to a token that is no good any more, and over a table or a keyring that is of no use.
    refused, broken, unconfigured = 401, 500, 500

    def __init__(self, cloud, opened):
        self.cloud, self.family, self.token = cloud, opened["session"]["family"], opened["refresh_token"]
        cloud.tokens.add(self.token)

    def key(self):
        """The key that signed what it holds."""
        return key_of(self.token)

    def present(self, token, agent="test"):
        given = self.request(token)
        answer = self.cloud.call("POST", self.path, **{**given, "headers": {**given.get("headers", {}), "User-Agent": agent}})
        if answer.status == 200:
            self.cloud.tokens.add(self.next(answer) or token)
        return answer

    def refresh(self):
        """Presents what it holds, and holds from then on what it got."""
        answer = self.present(self.token)
        if answer.status == 200:
            self.token = self.next(answer) or self.token
        return answer


class Uniqos(Client):
    tenant, path, org, grace = "uniqos", "/v1/auth/refresh", "acme", "UniqosGraceSecs"

    @staticmethod
    def request(token):
        return {"headers": {"Cookie": f"uniqos_refresh={token}"}}

    def next(self, answer):
        return (answer.cookie("uniqos_refresh") or "=").split("=", 1)[1]


class Dreadnode(Client):
    tenant, path, org, grace = "dreadnode", "/api/v1/auth/refresh", "acme", "DreadnodeGraceSecs"

    @staticmethod
    def request(token):
        return {"body": {"refresh_token": token}}

    def next(self, answer):
        return (answer.cookie("refresh_token") or "=").split("=", 1)[1]


class Elastic(Client):
    tenant, path, grace = "elastic", "/api/v1/users/auth/_refresh", "ElasticGraceSecs"
    broken, unconfigured = 502, 501

    @staticmethod
    def request(token):
        return {"headers": {"Authorization": f"Bearer {token}"}}

    def next(self, answer):
        return answer.json()["token"]

    @classmethod
    def sign_in(cls, cloud, name, password):
        given = base64.b64encode(f"{name}:{password}".encode()).decode()
        return cloud.call("POST", cls.path, headers={"Authorization": f"Basic {given}"})


class Replyke(Client):
    tenant, path, grace = "replyke:p-1", "/api/v6/p-1/auth/request-new-access-token", "ReplykeGraceSecs"
    refused = 403

    @staticmethod
    def request(token):
        return {"headers": {"Cookie": f"replyke-refresh-jwt={token}"}}

    def next(self, answer):
        return (answer.cookie("replyke-refresh-jwt") or "=").split("=", 1)[1]


PRODUCTS = (Uniqos, Dreadnode, Elastic, Replyke)
