node default {
  include page
}
