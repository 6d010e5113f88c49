node default {
  include page
  include shipper
}
