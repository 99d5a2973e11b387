package a

const begin = "-----BEGIN PRIVATE KEY-----"

var password = os.Getenv("PASSWORD")

func f(token string) { token = strings.TrimSpace(token) }
