NAME = "elastic"
class Outage:
    def __init__(s,w): pass
    def during(s,f): pass
    def after(s): pass
